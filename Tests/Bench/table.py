"""The table: medians, spreads, and Heartwire's ratio to the best peer and to the floor. Markdown from bench.py's measurements."""

import statistics

# A generator that is busier than this may set the pace.
BUSY = 0.93
# A proxy that waited for its core for more than this share of the time was not alone.
WAITED = 0.1


def measured(figure, results, beside) -> list[float]:
    """The figure of each result."""
    if not figure.beside:
        return [figure.value(result) for result in results]
    return [figure.value(result, other) for result, other in zip(results, beside)]


def values(figure, part, name, results) -> list[float]:
    found = measured(figure, results.get(part.name, {}).get(name, []), results.get(figure.beside, {}).get(name, []))
    direct = results.get(part.name, {}).get("direct", [])
    if figure.less_direct and direct:
        base = statistics.median(figure.value(result) for result in direct)
        found = [value - base for value in found]
    return found


def number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(found: list[float]) -> str:
    """The median, and half of the distance between the least and the most, in percent of it."""
    if not found:
        return "–"
    middle = statistics.median(found)
    if len(found) < 2 or middle == 0:
        return number(middle)
    spread = abs((max(found) - min(found)) / 2 / middle)
    return f"{number(middle)} ±{spread:.0%}" if spread <= 1 else f"{number(middle)} ±>100%"


def ratio(one: list[float] | None, other: list[float] | None) -> str:
    """The median of the ratios within each repetition, whose turns stood next to each other in time."""
    if not one or not other or min(other) <= 0:
        return "–"
    if len(one) != len(other):
        return f"{statistics.median(one) / statistics.median(other):.2f}"
    return f"{statistics.median(mine / theirs for mine, theirs in zip(one, other)):.2f}"


def best(figure, names, found) -> list[float] | None:
    """The figures of the contender with the best median."""
    known = [found[name] for name in names if found[name]]
    return (max if figure.more_is_better else min)(known, key=statistics.median) if known else None


def row(figure, part, scenario, bench, columns, ours, peers) -> list[str]:
    found = {name: values(figure, part, name, bench.results) for name in columns}
    cells = [scenario.name, f"{figure.label}, {figure.unit}" + (" ↑" if figure.more_is_better else "")] + [cell(found[name]) for name in columns]
    usual = [name for name in peers if "64k" not in name]
    for name in ours if peers else []:
        beside = ratio(found[name], best(figure, peers, found)) if figure.compared else "–"
        if figure.compared and any(found[peer] for peer in peers if "64k" in peer):
            beside += f" ({ratio(found[name], best(figure, usual, found))})"
        cells.append(beside)
    for name in ours if "floor" in columns else []:
        cells.append(ratio(found[name], found["floor"]) if figure.compared else "–")
    return cells + ([ratio(found[ours[1]], found[ours[0]])] if len(ours) == 2 else [])


def notes(wanted, bench) -> list[str]:
    """Where the generator and not the proxy may have set the pace; where the clock was not kept; what failed."""
    lines = []
    for part in (part for scenario in wanted for part in scenario.parts):
        limited, behind, disturbed = [], [], []
        for name, results in bench.results.get(part.name, {}).items():
            generator = statistics.median(result["generator_busy"] for result in results)
            proxy = statistics.median(result["proxy_busy"] for result in results)
            if generator > BUSY and proxy < BUSY:
                limited.append(f"{name} ({proxy:.0%})")
            waited = statistics.median(result["proxy_waited"] for result in results)
            if waited > WAITED:
                disturbed.append(f"{name} ({waited:.0%})")
            if part.interval_ms and "missed" not in results[0]:
                due = [part.streams * result["seconds"] * 1000 / part.interval_ms for result in results]
                came = [result["heartbeats"] if "--heartbeats" in part.load else result["events"] for result in results]
                kept = statistics.median(one / other for one, other in zip(came, due))
                if kept < 0.97:
                    behind.append(f"{name} ({kept:.0%})")
        if limited:
            lines.append(f"{part.name}: the generator was the bottleneck beside {', '.join(limited)} (in brackets: how busy the proxy was). "
                         "Its times and rates are the generator's; CPU per unit is still the proxy's.")
        if disturbed:
            lines.append(f"{part.name}: other programs took the proxy's core: {', '.join(disturbed)} of the time. Times and rates suffer, CPU less.")
        if behind:
            lines.append(f"{part.name}: fewer came than were due: {', '.join(behind)}.")
    for part, failed in bench.failures.items():
        lines += [f"{part}, {name}: failed: {text.splitlines()[0]}" for name, text in failed.items()]
    return lines


def log_note(bench) -> list[str]:
    """The cost of the log."""
    lines = []
    for name, with_log in bench.results.get("log, on", {}).items():
        without = bench.results.get("log, off", {}).get(name)
        if without:
            cost = [statistics.median(result["proxy_ns"] / result["events"] for result in results) for results in (with_log, without)]
            lines.append(f"log: {name} takes {cost[0] / cost[1]:.2f} of what it takes without a log.")
    return lines


def markdown(wanted, bench, about) -> str:
    columns = [contender.name for contender in bench.contenders]
    # The floor comes first, Heartwire last.
    ours = [name for name in columns if name.startswith("Heartwire")]
    peers = [contender.name for contender in bench.contenders if contender.is_peer]
    columns = [name for name in columns if name == "floor"] + peers + ours
    several = len(ours) > 1
    head = ["scenario", "figure"] + columns
    head += [f"{name} / best peer" if several else "to the best peer" for name in ours if peers]
    head += [f"{name} / floor" if several else "to the floor" for name in ours if "floor" in columns]
    if len(ours) == 2:
        head += [f"{ours[1]} / {ours[0]}"]
    lines = [" | ".join(head), " | ".join(["---", "---"] + ["---:"] * (len(head) - 2))]
    for scenario in wanted:
        for part in scenario.parts:
            lines += [" | ".join(row(figure, part, scenario, bench, columns, ours, peers)) for figure in part.figures]
    text = "\n".join(f"| {line} |" for line in lines)
    siblings = ", two threads of one core" if about["siblings"] else ""
    foot = [f"{about['date']}, {about['processor']}, {about['cores']} cores, Linux {about['kernel']}; the proxy on core {about['proxy_core']}, origin and "
            f"generator on core {about['load_core']}{siblings}; {bench.options.repetitions} repetition(s), {about['seconds']} s in all. "
            "Compare ratios, not times. ↑: more is better. In brackets: beside the best peer with its usual buffers."]
    return "\n\n".join([text] + foot + ["\n".join(f"- {line}" for line in log_note(bench) + notes(wanted, bench))]).rstrip()
