// The demo's second page: eight streams in one page, over HTTP/1.1 and over HTTP/2. It shares the first page's style and policy.

extension Page {
    /// The whole second page as bytes.
    static func eight(_ facts: PageFacts) -> [UInt8] {
        Array(
            """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <link rel="icon" href="data:,">
            <title>Heartwire: eight streams in one page</title>
            <style>\(Page.style)\(Page.eightStyle)</style>
            </head>
            <body>
            <header>
            <h1>Eight event streams in one page</h1>
            <p>The same eight streams twice, through the same Heartwire. Over HTTP/1.1 a browser opens <b>six connections</b> to an origin, \
            for all its tabs together, and every further <code>EventSource</code> waits without a word. Over HTTP/2 all of them fit into \
            <b>one connection</b>.</p>
            <nav><a id="first" href="/">The other page: one stream, with Heartwire and without</a></nav>
            </header>
            <main>
            <div class="lanes">
            \(panel("plain", title: "HTTP/1.1", scheme: "http"))
            \(panel("secured", title: "HTTP/2", scheme: "https"))
            </div>
            <ul class="legend card">
            <li><i class="mark event"></i>event</li>
            <li><i class="mark open"></i>open: in a silence Heartwire sends a heartbeat each \(seconds(facts.timing.heartbeatMilliseconds))</li>
            <li><i class="mark waiting"></i>waits for a connection: the request has not been sent</li>
            <li>The load balancer in front cuts after \(seconds(facts.timing.hopIdleLimitMilliseconds)) without a byte. It counts the \
            connections.</li>
            </ul>
            </main>
            <script type="application/json" id="facts">\(facts.json)</script>
            <script>\(Page.eightScript)</script>
            </body>
            </html>

            """.utf8)
    }

    private static func panel(_ id: String, title: String, scheme: String) -> String {
        let rows = RhythmicStream.kinds.enumerated().map { index, kind in
            """
            <li data-state="waiting"><span class="plug"></span><b>\(kind.name)</b><canvas aria-hidden="true"></canvas>\
            <span class="note">connecting</span><button type="button" aria-label="close \(kind.name)">close</button></li>
            """
        }
        return """
            <section class="card panel" id="\(id)" data-state="waiting">
            <div class="title"><h2 id="\(id)-title">\(title)</h2><span class="pill" id="\(id)-state">connecting</span></div>
            <p class="where"><code id="\(id)-origin">\(scheme)</code></p>
            <dl>
            <div><dt>streams open</dt><dd><span id="\(id)-open">0</span><small> of \(rows.count)</small></dd></div>
            <div><dt>connections</dt><dd id="\(id)-connections">–</dd></div>
            <div><dt>events</dt><dd id="\(id)-events">0</dd></div>
            <div><dt>longest wait</dt><dd id="\(id)-wait">–</dd></div>
            </dl>
            <ol class="streams">
            \(rows.joined(separator: "\n"))
            </ol>
            <p class="say" id="\(id)-say">&nbsp;</p>
            </section>
            """
    }

    private static let eightStyle = #"""
        code { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; color: var(--soft); }
        .where { margin: 2px 0 8px; }
        dd small { font-size: 13px; font-weight: 400; color: var(--soft); }
        .streams { list-style: none; margin-top: 10px; }
        .streams li { display: grid; grid-template-columns: 34px 72px minmax(0, 1fr) 84px 46px; align-items: center; height: 38px; gap: 0 8px; }
        .streams b { font-size: 13px; font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
        .streams canvas { width: 100%; height: 30px; background: var(--faint); border-radius: 4px; }
        .note { font-size: 12px; text-align: right; color: var(--soft); font-variant-numeric: tabular-nums; }
        .streams [data-state="hanging"] .note, .streams [data-state="hanging"] b { color: var(--dead); }
        .streams [data-state="closed"] b { color: var(--soft); }
        button {
          font: inherit; font-size: 12px; padding: 1px 0; color: var(--soft); background: none; border: 1px solid var(--line);
          border-radius: 6px; cursor: pointer;
        }
        button:hover, button:focus-visible { color: var(--ink); border-color: var(--soft); }

        /* A wire to each stream: over HTTP/1.1 a connection of its own, over HTTP/2 a branch of the one that all share. */
        .plug { position: relative; height: 100%; }
        .plug::after { content: ""; position: absolute; left: 4px; right: 0; top: calc(50% - 1px); border-top: 3px solid var(--line); }
        .plug::before { content: ""; position: absolute; left: 0; top: calc(50% - 4px); width: 9px; height: 9px; border-radius: 50%; background: var(--line); }
        [data-state="alive"] > .plug::after { border-color: var(--alive); }
        [data-state="alive"] > .plug::before { background: var(--alive); }
        [data-state="hanging"] > .plug::after { border-top-style: dashed; border-color: var(--dead); left: 12px; }
        [data-state="hanging"] > .plug::before { box-sizing: border-box; background: none; border: 2px solid var(--dead); }
        .shared li > .plug::before { top: 0; width: 9px; height: 100%; border: 0; border-radius: 0; background: var(--alive); }
        .shared li:first-child > .plug::before { top: calc(50% - 4px); height: calc(50% + 4px); border-radius: 5px 5px 0 0; }
        .shared li:last-child > .plug::before { height: calc(50% + 5px); border-radius: 0 0 5px 5px; }

        [data-state="hanging"] .pill { color: var(--dead); }
        .legend.card { margin: 0; padding: 8px 14px; }
        .mark.open { border-top: 3px solid var(--alive); height: 0; width: 18px; }
        .mark.waiting { border-top: 3px dashed var(--dead); height: 0; width: 18px; }
        @media (max-width: 760px) {
          .streams li { grid-template-columns: 22px 66px minmax(0, 1fr) 74px 44px; gap: 0 6px; }
        }
        """#
}
