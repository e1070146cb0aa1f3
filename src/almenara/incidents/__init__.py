"""Whether somebody must act: rules raise alerts, alerts make alarms, people cases.

* ``alarm``       priorities, reasons, alerts and alarms: the values
* ``situation``   the facts that rules are asked about, and how they follow
* ``facts``       what is remembered of the way of one contact
* ``company``     who meets whom, who goes in a row
* ``landfall``    where and when a craft will meet the coast
* ``rules``       pure functions from a situation to the alert it deserves
* ``ways``        rules about where a contact goes
* ``together``    rules about contacts together
* ``doubts``      rules about what the watch itself is worth
* ``lookout``     which working cameras look at a place
* ``alerting``    how an alert about a contact is put together
* ``shore``       land as a value: how far, on which bearing
* ``distress``    devices that call by AIS, however rarely they are heard
* ``thresholds``  the figures of the rules: data with a version and a rationale
* ``life``        the alarm life cycle: what an event makes of an alarm
* ``escalation``  who is told next of what nobody acknowledges
* ``shelving``    putting aside for a while, never a rescue
* ``flood``       rows when there are too many
* ``load``        how much the alarms ask of a position
* ``queue``       which alerts join which alarm; the order of the queue
"""
