"""
A flame graph as SVG: who called whom across, how often seen along.

Each box is a function in the stack of those below it; its width is its share of all samples, so the
wide ones near the top are where time goes. Boxes of one caller stand in the order of their names:
from left to right is not time. Hovering over a box shows its name, share and source file. The colour says
which part of the tree the function belongs to.
"""

import dataclasses
from xml.sax.saxutils import escape

WIDTH, ROW, MARGIN, HEAD = 1400, 18, 10, 74
CHAR = 6.7             # of the monospaced letters, in pixels
SMALLEST = 0.3         # boxes narrower than so many pixels are left out

PARTS = [              # beginning of a source path, colour, what the legend calls it
    ("apps/", "#f2a65a", "application"),
    ("libos/tls", "#c39bd3", "TLS"),
    ("libos/net", "#7fb3d5", "network glue, streams"),
    ("third_party/lwip", "#76d7c4", "lwIP"),
    ("third_party/mbedtls", "#c39bd3", "TLS"),
    ("libos/drivers", "#f5b7b1", "drivers"),
    ("libos/", "#aed6f1", "other libos"),
    ("core/", "#f7dc6f", "core"),
    ("", "#d5d8dc", "C library, other"),
]


@dataclasses.dataclass
class Box:
    name: str
    place: str = ""
    total: int = 0
    own: int = 0
    children: dict = dataclasses.field(default_factory=dict)


def part_of(place):
    return next(part for part in PARTS if place.startswith(part[0]))


def grow(stacks):
    """The tree of {((name, place), ...): count}, outermost frame first."""
    root = Box("all")
    for frames, count in stacks.items():
        box = root
        box.total += count
        for name, place in frames:
            box = box.children.setdefault(name, Box(name, place))
            box.total += count
        box.own += count
    return root


def depth_of(box):
    return 1 + max((depth_of(child) for child in box.children.values()), default=0)


def draw_box(box, x, depth, scale, whole, bottom, out):
    width = box.total * scale
    if width < SMALLEST:
        return
    y = bottom - (depth + 1) * ROW
    title = f"{box.name}: {box.total} samples, {100 * box.total / whole:.1f} % ({100 * box.own / whole:.1f} % itself)"
    if box.place:
        title += f", {box.place}"
    room = int((width - 6) / CHAR)
    text = box.name if len(box.name) <= room else box.name[:room - 1] + "…" if room >= 4 else ""
    out.append(f'<g><title>{escape(title)}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.2):.1f}" '
               f'height="{ROW - 1}" fill="{part_of(box.place)[1]}" rx="2"/>'
               + (f'<text x="{x + 3:.1f}" y="{y + ROW - 6}">{escape(text)}</text>' if text else "") + "</g>")
    for name in sorted(box.children):
        draw_box(box.children[name], x, depth + 1, scale, whole, bottom, out)
        x += box.children[name].total * scale


def legend(places, y):
    used, out, x = {}, [], MARGIN
    for place in places:
        _, colour, text = part_of(place)
        used[text] = colour
    for _, colour, text in PARTS:
        if used.get(text) == colour:
            del used[text]
            out.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
                       f'<text x="{x + 16}" y="{y}">{escape(text)}</text>')
            x += 16 + len(text) * CHAR + 18
    return out


def draw(stacks, title, notes=""):
    """The SVG text of {((name, place), ...): count}."""
    root = grow(stacks)
    height = HEAD + depth_of(root) * ROW + MARGIN
    places = {place for frames in stacks for _, place in frames}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="monospace" font-size="11">',
           "<style>rect { stroke: none } g:hover rect { stroke: #333; stroke-width: 1 } text { pointer-events: none }</style>",
           f'<rect width="{WIDTH}" height="{height}" fill="#fdfdfb"/>',
           f'<text x="{MARGIN}" y="20" font-size="15">{escape(title)}</text>',
           f'<text x="{MARGIN}" y="39">{escape(notes)}</text>', *legend(places, 60)]
    if root.total:
        draw_box(root, MARGIN, 0, (WIDTH - 2 * MARGIN) / root.total, root.total, height - MARGIN, out)
    else:
        out.append(f'<text x="{MARGIN}" y="{HEAD + 12}">There is no sample.</text>')
    return "\n".join([*out, "</svg>", ""])
