"""How people see the line: the operator board, and dashboards as code."""
