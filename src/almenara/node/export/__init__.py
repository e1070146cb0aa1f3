"""Evidence leaves the house: the package, its signature, its report, its verifier.

``verify`` is one file that runs anywhere with Python alone and travels in every
package; nothing in it may import Almenara.
"""
