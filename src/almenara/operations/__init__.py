"""Who goes where: units, tasks, joint operations, and one watch after the other.

* ``task``       a request and what becomes of it; between centres it is never a command
* ``operation``  what two centres have agreed to do together, and until when
* ``handover``   what one watch leaves to the next: nothing open is left unsaid

Everything here decides and nothing is carried out; whoever acts is named.
"""
