"""The operator board: what the line does now, what needs somebody, and whether anything was lost.

``create_app`` makes the web application from a ``twin.ports.View``; ``serve`` runs it; ``Auth`` and
``Users`` keep sessions and passwords; ``shapes`` says what every answer looks like.
"""

from dashboards.board.app import create_app
from dashboards.board.auth import Auth, Users
from dashboards.board.server import Running, serve

__all__ = ["Auth", "Running", "Users", "create_app", "serve"]
