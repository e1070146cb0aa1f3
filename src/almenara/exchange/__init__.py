"""What two centres tell each other, and nothing more.

Its turn comes later. What will live here: envelopes that arrive exactly once and in
order, the gate that releases a record or says why not, receipts, and the formats of the
neighbours.
"""
