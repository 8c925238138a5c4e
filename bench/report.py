"""The results as a table in Markdown and as plots (SVG, when matplotlib is there)."""


def number(value):
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def aimed_at(figure):
    """The number that its aim is for, or None."""
    if figure["aim"] is None:
        return None
    return figure["ratio"] if figure["aim_is"] == "ratio" else figure["value"]


def verdict(figure):
    """'met', 'missed', or '' when nothing was aimed at or there was no peer to compare with."""
    got = aimed_at(figure)
    if got is None:
        return ""
    return "met" if (got >= figure["aim"] if figure["better"] == "higher" else got <= figure["aim"]) else "missed"


def sentence(figure):
    text = f"{figure['name']} {number(figure['value'])} {figure['unit']}"
    if figure["peer"]:
        text += f", {figure['ratio']:.2f} times the peer's {number(figure['peer']['value'])}"
    return text + (f" (aim {verdict(figure)})" if verdict(figure) else "")


def table(figures):
    lines = ["| figure | value | of repeats | peer | ratio | aim | |", "|---|---:|---:|---:|---:|---:|---|"]
    for f in figures:
        spread = f"{number(f['spread'][0])} to {number(f['spread'][1])}" if f["spread"] else ""
        peer = number(f["peer"]["value"]) if f["peer"] else ""
        ratio = f"{f['ratio']:.2f}" if f["ratio"] else ""
        aim = ""
        if f["aim"] is not None:
            aim = ("at least " if f["better"] == "higher" else "at most ") + number(f["aim"])
            aim += " times" if f["aim_is"] == "ratio" else ""
        lines.append(f"| `{f['name']}` ({f['unit']}) | {number(f['value'])} | {spread} | {peer} | {ratio} | {aim} | "
                     f"{verdict(f)} |")
    return lines


def methods(figures):
    lines = []
    for f in figures:
        text = f"- `{f['name']}`: {f['method']}."
        if f["note"]:
            text += f" Seen: {f['note']}."
        if f["peer"]:
            text += f" Peer: {f['peer']['what']}."
        lines.append(text)
    return lines


def peers(figures):
    """Versions of the peers, each once, and the command lines of each."""
    commands = {}
    for f in figures:
        versions = (f["peer"] or {}).get("versions")
        if versions:
            known = commands.setdefault(", ".join(f"{name} {version}" for name, version in versions.items()), {})
            if f["peer"].get("command"):
                known[f["peer"]["command"]] = f["name"]
    lines = []
    for versions, known in commands.items():
        lines += [f"- {versions}", *(f"  - for example `{name}`: `{command}`" for command, name in known.items())]
    return ["Compared with:", "", *lines, ""] if lines else []


def shares(figures):
    """(name, how far from the aim): 1 is the aim itself, less is better."""
    found = []
    for f in figures:
        got = aimed_at(f)
        if got and f["aim"]:
            found.append((f["name"], f["aim"] / got if f["better"] == "higher" else got / f["aim"]))
    return found


def plot(path, image, figures):
    """Each figure as a share of its aim: one picture of how far there is to go."""
    try:
        import matplotlib
        matplotlib.use("svg")
        matplotlib.rcParams["svg.hashsalt"] = "kiln"
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    found = shares(figures)
    if not found:
        return False
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(found) + 1.2))
    names, values = zip(*reversed(found))
    bars = axes.barh(names, values, color=["#3a7d44" if v <= 1 else "#b5442e" for v in values])
    axes.bar_label(bars, [f"{v:.2f}" for v in values], padding=3)
    axes.axvline(1, color="#444444", linewidth=1)
    axes.set_xlim(0, max(1.2, max(values) * 1.15))
    axes.set_xlabel("share of the aim (1 or less meets it)")
    axes.set_title(image)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True


def plot_beside(path, image, figures):
    """Rates and instructions beside the Linux guest's, on a scale of powers of ten."""
    pairs = [(f["name"], f["value"], f["peer"]["value"], f["ratio"]) for f in figures
             if f["peer"] and "kernel" in (f["peer"].get("versions") or {})]
    if not pairs:
        return False
    try:
        import matplotlib
        matplotlib.use("svg")
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(pairs) + 1.4))
    places = range(len(pairs))
    ours = axes.barh([p + 0.2 for p in places], [p[1] for p in pairs], 0.38, color="#2c6fa8", label="Kiln")
    axes.barh([p - 0.2 for p in places], [p[2] for p in pairs], 0.38, color="#9a9a9a", label="Linux guest")
    axes.bar_label(ours, [f"{p[3]:.3g} times" for p in pairs], padding=3)
    axes.set_yticks(list(places), [p[0] for p in pairs])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 4)
    axes.legend(loc="lower right")
    axes.set_title(f"{image} beside a Linux guest")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True


def write(folder, taken, setting):
    lines = ["# Measured figures", "", f"Taken by `make bench` and `make bench-peer`: {setting}. How each is taken "
             "is told below it and in [bench](../README.md).", ""]
    for image, figures in ((image, figures) for image, figures in taken.items() if figures):
        lines += [f"## {image}", "", *table(figures), ""]
        for name, draw in ((f"{image}.svg", plot), (f"{image}-peer.svg", plot_beside)):
            (folder / name).unlink(missing_ok=True)
            if draw(folder / name, image, figures):
                lines += [f"![{image}]({name})", ""]
        lines += [*methods(figures), "", *peers(figures)]
    (folder / "README.md").write_text("\n".join(lines))
