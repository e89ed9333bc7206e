"""Colours by role: a figure paints with place-holders, CSS variables say what they are on a light and a dark page.

Method colours follow Okabe and Ito's palette, which colour-blind readers can tell apart, darkened for a light page and
lightened for a dark one. Experiences run through plasma, in order, without the end that would be too faint.
"""

from __future__ import annotations

import re

INK, SOFT, RULE, PAPER, BOUND = "#00cc00", "#00cc01", "#00cc02", "#00cc03", "#00cc04"
_ROLES = ("ink", "soft", "rule", "paper", "bound")
_LIGHT = ("#0072b2", "#d55e00", "#00805c", "#b0529a", "#a97500", "#2f93cf", "#6b4f3a", "#747a1f")
_DARK = ("#4fa9e3", "#f0833a", "#2fbf96", "#df95c6", "#e3b02c", "#8ccbf2", "#c0a08a", "#c3c75f")


def method(index: int) -> str:
    """The place-holder of the method at ``index``; colours come round again after eight."""
    return f"#00aa{index % len(_LIGHT):02x}"


def experience(index: int) -> str:
    """The place-holder of an experience."""
    return f"#00bb{index % 256:02x}"


def to_css(style: str) -> str:
    """Place-holders in an SVG style replaced by CSS variables.

    >>> to_css(f"fill: {method(2)}; stroke: {INK}")
    'fill: var(--m2); stroke: var(--ink)'
    """

    def variable(match: re.Match[str]) -> str:
        index = int(match[2], 16)
        return f"var(--{_ROLES[index] if match[1] == 'cc' else f'm{index}' if match[1] == 'aa' else f'e{index}'})"

    return re.sub(r"#00(aa|bb|cc)([0-9a-f]{2})", variable, style)


def variables(num_experiences: int, dark: bool) -> dict[str, str]:
    """The CSS variables of methods and experiences, on a light or a dark page."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    low, high = (0.42, 0.97) if dark else (0.0, 0.62)
    count = min(num_experiences, 256)
    steps = [low + (high - low) * k / max(1, count - 1) for k in range(count)]
    return {f"m{i}": colour for i, colour in enumerate(_DARK if dark else _LIGHT)} | {
        f"e{k}": to_hex(colormaps["plasma"](step)) for k, step in enumerate(steps)
    }
