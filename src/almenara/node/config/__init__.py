"""The configuration file: what an operator may say, checked before anything starts.

One pass names *every* fault with file, line, key, what was found, what was expected and
the cure, because an operator who drives four hours to a mast wants the whole list.

* ``sections``   the keys, with units, limits and defaults
* ``faults``     from a refused value to a fault an operator can act on
* ``loading``    reads the file; safe mode when it is broken
* ``reference``  the schema, the example file and the manual, made from the keys
"""

from almenara.core.errors import Fault
from almenara.node.config.loading import load, load_or_safe
from almenara.node.config.sections import Config, Mode

__all__ = ["Config", "Fault", "Mode", "load", "load_or_safe"]
