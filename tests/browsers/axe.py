"""axe-core, which looks at a page in a browser for what shuts people out."""

from __future__ import annotations

import json
import os
from pathlib import Path

from chromium import Chromium

AXE = Path(os.environ.get("BSTSEARCH_AXE", "node_modules/axe-core")) / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(browser: Chromium) -> list[str]:
    """What axe-core finds on the page that is open: the rule, and where."""
    browser.evaluate(AXE.read_text(encoding="utf-8"))
    words = "(found) => found.violations.flatMap((one) => one.nodes.map((node) => `${one.id} ${node.target}`))"
    script = f"axe.run(document, {{ runOnly: {json.dumps(RULES)} }}).then({words})"
    found = browser.call("Runtime.evaluate", browser.session, expression=script, awaitPromise=True, returnByValue=True)
    return list(found["result"]["value"])
