"""Where on the sea a pixel is, and how sure that is.

* ``sea_surface``   depression angle against range over a curved sea
* ``camera_model``  pixels against azimuth and elevation
* ``geodesy``       places on the ellipsoid, and a plane to calculate in
* ``range_map``     what each row of a picture covers at sea
* ``fix``           a look's place with its error, or a bearing alone
* ``rows``          when a row was exposed, and whether the head stood still
"""
