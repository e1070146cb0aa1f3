"""Making our own weights from openly licensed pictures: by an operator, never at run.

Needs ``pip install 'almenara[train]'``.
"""
