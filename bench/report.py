"""The results as a table in Markdown and as plots (SVG, when matplotlib is there)."""


def number(value):
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def verdict(figure):
    """'met', 'missed', or '' when nothing was aimed at."""
    if figure["aim"] is None:
        return ""
    got = figure["ratio"] if figure["peer"] else figure["value"]
    return "met" if got <= figure["aim"] else "missed"


def sentence(figure):
    text = f"{figure['name']} {number(figure['value'])} {figure['unit']}"
    if figure["peer"]:
        text += f", {figure['ratio']:.2f} times the peer's {number(figure['peer'])}"
    return text + (f" (aim {verdict(figure)})" if verdict(figure) else "")


def table(figures):
    lines = ["| figure | value | peer | ratio | aim | |", "|---|---:|---:|---:|---:|---|"]
    for f in figures:
        peer = number(f["peer"]) if f["peer"] else ""
        ratio = f"{f['ratio']:.2f}" if f["ratio"] else ""
        aim = "" if f["aim"] is None else f"{f['aim']:.1f} times" if f["peer"] else number(f["aim"])
        lines.append(f"| `{f['name']}` ({f['unit']}) | {number(f['value'])} | {peer} | {ratio} | {aim} | {verdict(f)} |")
    return lines


def methods(figures):
    lines = []
    for f in figures:
        peer = f" Peer: {f['peer_is']}." if f["peer_is"] else ""
        lines.append(f"- `{f['name']}`: {f['method']}.{peer}")
    return lines


def plot(path, image, figures):
    """Each figure as a share of its aim or peer: one picture of how far there is to go."""
    try:
        import matplotlib
        matplotlib.use("svg")
        matplotlib.rcParams["svg.hashsalt"] = "kiln"
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    shares = [(f["name"], (f["ratio"] if f["peer"] else f["value"]) / f["aim"]) for f in figures if f["aim"]]
    if not shares:
        return False
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(shares) + 1.2))
    names, values = zip(*reversed(shares))
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


def write(folder, taken, setting):
    lines = ["# Measured figures", "", f"Taken by `make bench`: {setting}.", ""]
    for image, figures in taken.items():
        lines += [f"## {image}", "", *table(figures), ""]
        if plot(folder / f"{image}.svg", image, figures):
            lines += [f"![{image}]({image}.svg)", ""]
        lines += [*methods(figures), ""]
    (folder / "README.md").write_text("\n".join(lines))
