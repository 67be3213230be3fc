"""The operator board: what the line does now, what needs somebody, and whether anything was lost.

``create_app`` makes the web application from a ``twin.ports.View``; ``serve`` runs it; ``Auth``
keeps users and sessions; ``shapes`` says what every answer looks like.
"""
