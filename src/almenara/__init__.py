"""Almenara: a coastal and border video watch.

Read the packages in the order the data meets them: ``stations`` (a frame arrives),
``recording`` (it is kept), ``detection`` (something is in it), ``geo`` (where that is),
``tracking`` (how it moves), ``incidents`` (whether somebody must act), ``rescue`` (who
needs help and who coordinates it), ``operations`` (who goes), ``evidence`` (what may be
proved later), ``console`` (who sees it), ``exchange`` (who else must know) and
``planning`` (where to look next). ``simulation`` is a coast without cameras, ``core``
the words they share; ``node`` alone knows them all.
"""

from importlib.metadata import version

__version__ = version("almenara")
