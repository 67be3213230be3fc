"""Product messages as they are documented."""

from __future__ import annotations

import json
import re
from pathlib import Path

from twin.products.message import read


def test_the_message_in_the_documentation_is_one() -> None:
    """The page on MQTT shows a product message that is taken as it stands."""
    page = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text("utf-8")
    shown = [text for text in re.findall(r"```json\n(.*?)\n```", page, re.DOTALL) if '"op"' in text]

    assert [read(json.loads(text)).op for text in shown] == ["start"]
