"""The one design of figures and pages: a color per method, one type scale, spacing; light and dark.

`theme.json` holds it. Figures read it through `tdlib.figures.style`, pages through the style sheet of `theme_css`.
Method colors are Okabe and Ito's hues, with a lightness that keeps lines visible on either background.
"""

import json
from pathlib import Path

THEME = json.loads(Path(__file__).with_name("theme.json").read_text(encoding="utf-8"))
SCHEMES = ("light", "dark")
TEXT_CONTRAST, LINE_CONTRAST = 4.5, 3.0  # WCAG 2.2 AA: 1.4.3 for text, 1.4.11 for lines and controls


def colors(scheme: str) -> dict[str, str]:
    """Return every named color of a scheme, `#rrggbb` by name; method names with hyphens, rates as `rate-20`.

    Raises:
        ValueError: If the scheme is neither light nor dark.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {SCHEMES}, got {scheme!r}")
    palette = THEME[scheme]
    named = {**palette["neutral"], **palette["signal"]}
    named |= {name.replace("_", "-"): color for name, color in palette["method"].items()}
    named["truth"] = palette["method"]["oracle"]
    return named | {f"rate-{rate or 'none'}": color for rate, color in palette["rate"].items()}


def theme_css() -> str:
    """Write the theme as CSS custom properties `--td-<name>`.

    Pages and JupyterLab set an attribute when the reader chooses; before that, the system's wish holds.
    """
    scale, spaces = THEME["type"]["scale"], THEME["space_rem"]
    sizes = [f"--td-font-size-{name}: {THEME['type']['page_rem'] * factor:g}rem;" for name, factor in scale.items()]
    sizes += [f"--td-space-{i}: {space:g}rem;" for i, space in enumerate(spaces, start=1)]
    sizes.append(f"--td-radius: {THEME['radius_rem']:g}rem;")
    light, dark = (" ".join(f"--td-{name}: {value};" for name, value in colors(s).items()) for s in SCHEMES)
    return "\n".join(
        [
            "/* Made from tdlib/figures/theme.json when the book is staged. */",
            f":root {{ {' '.join(sizes)} }}",
            f':root, html[data-theme="light"], body[data-jp-theme-light="true"] {{ {light} }}',
            "@media (prefers-color-scheme: dark) {",
            f' html:not([data-theme]):not(:has(body[data-jp-theme-light="true"])) {{ {dark} }}',
            "}",
            f'html[data-theme="dark"], body[data-jp-theme-light="false"] {{ {dark} }}',
            "",
        ]
    )


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colors `#rrggbb`, 1 to 21.

    Source:
        W3C, Web Content Accessibility Guidelines 2.2, definitions of contrast ratio and relative luminance.
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
