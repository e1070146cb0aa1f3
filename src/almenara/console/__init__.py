"""What people see and do: the HTTP API, the sockets and the pages.

* ``app``        binds every resource to its port; the one thing to call
* ``api``        one module per resource; each declares the port it needs
* ``boundary``   what every request passes first: host, origin, size, headers
* ``gate``       who asks and whether they may; each route names its action
* ``accounts``   people, sessions, links: values and port; ``signin`` acts on them
* ``scene``      what one person sees, and the step to the next; ``sight`` composes it
* ``sockets``    the picture and live video as they come
* ``pages``      the static bundle and the API's reference
* ``locales``    the catalogue in four languages

To add a resource: a module in ``api`` with its port, a line in ``app``, an action in
``evidence.access`` and a row in tests/authz/expected.csv.
"""
