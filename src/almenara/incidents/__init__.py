"""Whether somebody must act: rules raise alerts, alerts make alarms, people cases.

* ``alarm``       priorities, reasons, alerts and alarms: the values
* ``situation``   the facts that rules are asked about, and how they follow
* ``rules``       pure functions from a situation to the alert it deserves
* ``shore``       land as a value: how far, on which bearing
* ``distress``    devices that call by AIS, however rarely they are heard
* ``thresholds``  the figures of the rules: data with a version and a rationale
* ``life``        the alarm life cycle: what an event makes of an alarm
* ``queue``       which alerts join which alarm; the order of the queue
"""
