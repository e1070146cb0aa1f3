"""What two centres tell each other, and nothing more.

Each direction is an append-only, ordered, signed log in two lanes, urgent and bulk; the
receiver's cursor is the only state. Read it in this order:

* ``stream``    which log: from whom, to whom, in which lane
* ``envelope``  one entry: claims, and the bytes that are signed for ever
* ``receipt``   the receiver's signed word on how far it has applied
* ``keys``      whose signatures count, for what, and until when
* ``pairing``   what two centres hand each other in person, keys and agreement
* ``release``   the gate: what leaves is built from an allow-list, field by field
* ``judgement`` what an arriving envelope is: next, again, ahead, or a fork
* ``sealing``   signs and checks with the keys of the pairing
* ``link``      one centre's side of one link: sends, receives, suspends, recovers
* ``ledger``    what a link asks of the store, each act one transaction

The core does no network: bytes in, bytes out. The same code runs in the seeded
simulation of the tests and behind a socket.
"""
