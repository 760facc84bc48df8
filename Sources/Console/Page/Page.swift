// The live page: three files of the console's own origin, which need nothing from elsewhere. Style and scripts have their own source
// files. Invariant: nothing that a client or a server sent stands in these files; the page gets all of it from the feed and sets it as
// text.

/// The page and its files.
enum Page {
    /// The document. The page's token allows it to act; no other site's page can read it.
    static func document(pageToken: [UInt8]) -> [UInt8] { Array(beginning.utf8) + pageToken + Array(rest.utf8) }

    /// The style sheet.
    static let styleSheet = Array(style.utf8)

    /// The script.
    static let script = Array(
        "\"use strict\";\n(() => {\n\(feedScript)\(tableScript)\(tailScript)\(timelineScript)\(detailScript)\(mainScript)})();\n".utf8)

    private static let beginning = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="page-token" content="
        """

    private static let rest = #"""
        ">
        <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \#
          viewBox='0 0 32 32'%3E%3Cpath d='M2 17h7l3-9 6 17 4-11 2 3h6' fill='none' \#
          stroke='%230b9a72' stroke-width='3.2' stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E">
        <link rel="stylesheet" href="/console.css">
        <script src="/console.js" defer></script>
        <title>Heartwire</title>
        </head>
        <body data-view="streams">
        <header>
          <h1><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M2 17h7l3-9 6 17 4-11 2 3h6"/></svg>Heartwire</h1>
          <p id="link" data-state="lost" role="status">connecting</p>
          <dl>
            <div><dt>streams</dt><dd id="count-streams">–</dd></div>
            <div><dt>events/s</dt><dd id="count-events">–</dd></div>
            <div><dt>opened/min</dt><dd id="count-opened">–</dd></div>
            <div><dt>ended/min</dt><dd id="count-ended">–</dd></div>
          </dl>
          <nav aria-label="Views">
            <button data-show="streams">Streams</button><button data-show="tail">Tail</button><button data-show="causes">Causes</button>
          </nav>
        </header>
        <main>
          <section id="streams" class="card" aria-label="Streams">
            <div class="bar">
              <input id="search" type="search" placeholder="Search route, path, client, server, agent" aria-label="Search streams"
                autocomplete="off" spellcheck="false">
              <span id="shown" class="soft"></span>
              <kbd title="/ searches, arrows choose, Enter opens, Escape closes">/</kbd>
            </div>
            <div id="heads" role="row"></div>
            <div id="rows" tabindex="0" role="grid" aria-label="Streams, one in each row"><div id="space"></div></div>
            <p id="none" class="empty" hidden></p>
          </section>
          <aside>
            <section id="causes" class="card" aria-label="Causes of the last hour">
              <h2>Ended in the last hour <span id="hour-total" class="soft"></span></h2>
              <div id="cause-list"></div>
              <div id="thoughts" hidden><h2>What diagnose thinks now</h2><div id="findings"></div></div>
              <div id="routes"><h2>Routes</h2><div id="route-list"></div></div>
            </section>
            <section id="tail" class="card" aria-label="Openings and endings">
              <div class="bar">
                <h2>Tail</h2>
                <select id="tail-kind" aria-label="Kind"><option value="">all</option><option value="stream_end">endings</option><option
                  value="stream_open">openings</option></select>
                <select id="tail-cause" aria-label="Cause"><option value="">any cause</option></select>
                <select id="tail-route" aria-label="Route"><option value="">any route</option></select>
                <input id="tail-client" type="search" placeholder="client" aria-label="Client" autocomplete="off" spellcheck="false">
                <button id="tail-pause" aria-pressed="false">Pause</button>
              </div>
              <div id="tail-list" tabindex="0"></div>
            </section>
          </aside>
        </main>
        <dialog id="detail" aria-label="One stream">
          <div class="bar">
            <h2 id="detail-title"></h2><span id="detail-badge"></span>
            <button id="detail-close" aria-label="Close">Close</button>
          </div>
          <div class="stage">
            <canvas id="lane" height="150"
              aria-label="The stream's time line: dots are events, zigzags heartbeats, shades silences"></canvas>
            <div class="bar soft" id="scales"></div>
          </div>
          <dl id="detail-facts"></dl>
          <div id="detail-end" hidden></div>
          <div class="bar" id="detail-actions"></div>
          <div id="detail-events"></div>
        </dialog>
        <div id="notice" role="alert" hidden></div>
        <noscript><p class="empty">This page needs its script, which comes from the proxy itself. The same facts are at
          /metrics.</p></noscript>
        </body>
        </html>
        """#
}
