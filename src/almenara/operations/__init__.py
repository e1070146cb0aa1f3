"""Who goes: units, tasks, joint operations, shift handover.

Its turn comes later. What will live here: the units at hand and what they are asked to
do, operations of several centres with an end, and the sheet that one watch hands to the
next. People decide; nothing here sends anybody.
"""
