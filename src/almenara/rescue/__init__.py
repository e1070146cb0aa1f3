"""Who needs help and who coordinates it: assessment, phases, custody, drift, search.

* ``assessment``  the ten factors and the phase they propose; unknown is never safe
* ``phases``      up in one act, down with a reason and a second person
* ``custody``     exactly one coordinating centre at every instant, over any network
* ``sitrep``      situation reports A to N, as keys and values
* ``leeway``      how things drift with the wind: rows of figures with their source
* ``drift``       where something may be by now, as particles and areas
* ``land``        the shore as a grid that particles may ask
* ``search``      coverage, what an empty search teaches, patterns, units
* ``case``        all of it together: the working file of one rescue
* ``knew_when``   every datum, view and decision of a case in one line of time
"""
