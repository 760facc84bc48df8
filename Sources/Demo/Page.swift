// The demo's page: one HTML document that needs no other file. Style and script have their own source files. Invariant: the document
// refers to nothing outside itself, and inserted text is escaped here.

/// What the page needs to know of the demo.
struct PageFacts {
    /// Where the pages are without TLS.
    var plainPort: UInt16
    var directPort: UInt16
    /// Where the pages are over TLS.
    var securedPort: UInt16
    var token: String
    var timing: DemoTiming
    var configuration: String

    /// The facts as JSON that may stand inside a script element.
    var json: String {
        """
        {"plainPort": \(plainPort), "directPort": \(directPort), "securedPort": \(securedPort), "token": \(PageFacts.quoted(token)), \
        "hopIdleLimitMs": \(timing.hopIdleLimitMilliseconds), "heartbeatMs": \(timing.heartbeatMilliseconds), \
        "silenceMs": \(timing.silenceMilliseconds), "reconnectMs": \(timing.reconnectMilliseconds)}
        """
    }

    /// A JSON string without `<`, which could end the script element.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "<": quoted += "\\u003c"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// The document.
enum Page {
    /// The page runs its own inline script and style and connects to the two stream addresses; nothing else.
    static let securityPolicy: StaticString = """
        default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self' http: https:; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'
        """

    /// The whole page as bytes.
    static func document(_ facts: PageFacts) -> [UInt8] {
        let timing = facts.timing
        return Array(
            """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <link rel="icon" href="data:,">
            <title>Heartwire: the same stream, three times</title>
            <style>\(Page.style)</style>
            </head>
            <body>
            <header>
            <h1>The same event stream, three times</h1>
            <p>The backend wants a token in a header and falls silent for \(seconds(timing.silenceMilliseconds)) at a time. \
            The load balancer cuts a connection after <b>\(seconds(timing.hopIdleLimitMilliseconds)) without a byte</b>. \
            Neither can be changed.</p>
            <nav><a id="eight" href="/eight">The other page: eight streams at once, over HTTP/1.1 and over HTTP/2</a></nav>
            </header>
            <main>
            <div class="lanes">
            \(lane(.direct, title: "Today", timing: timing))
            \(lane(.through, title: "Through Heartwire", timing: timing))
            \(lane(.kept, title: "Cut on both sides, and kept by Heartwire", timing: timing))
            </div>
            <section class="card picture" aria-label="Timeline">
            <canvas id="timeline" role="img" aria-label="The streams over the last seconds: events, heartbeats, silences and cuts"></canvas>
            <ul class="legend">
            <li><i class="mark event"></i>event</li>
            <li><svg class="mark heartbeat" viewBox="-9 -10 18 18" aria-hidden="true"><polyline points="-9,0 -3,0 -1,-9 2,7 4,0 9,0"/></svg>heartbeat (a comment, unseen by scripts)</li>
            <li><i class="mark silence"></i>no byte for a while</li>
            <li><i class="mark cut"></i>cut by the load balancer</li>
            <li><i class="mark missed"></i>event lost</li>
            <li><i class="mark late"></i>event that came later</li>
            <li><i class="mark refused"></i>refused</li>
            </ul>
            </section>
            <div class="lanes">
            <section class="card log"><h3>What came, today</h3><ol id="log-direct"></ol></section>
            <section class="card log"><h3>What came, through Heartwire</h3><ol id="log-through"></ol></section>
            <section class="card log kept"><h3>What came, cut on both sides</h3><ol id="log-kept"></ol></section>
            </div>
            <details class="card"><summary>Heartwire's whole configuration for these streams</summary><pre>\(escaped(facts.configuration))</pre></details>
            </main>
            <script type="application/json" id="facts">\(facts.json)</script>
            <script>\(Page.timelineScript)\(Page.script)</script>
            </body>
            </html>

            """.utf8)
    }

    private static func lane(_ side: DemoSide, title: String, timing: DemoTiming) -> String {
        let id = side.rawValue
        let limit = "cuts after \(seconds(timing.hopIdleLimitMilliseconds))"
        let silence = "wants Bearer, silent \(seconds(timing.silenceMilliseconds))"
        let arrow = "<span class=\"wire\"></span>"
        let heartwire: String
        let more: String
        switch side {
        case .through:
            heartwire = node("Heartwire", "token, heartbeat \(seconds(timing.heartbeatMilliseconds))", kind: "ours") + arrow
            more = count("heartbeats", "\(id)-heartbeats")
        case .kept:
            let balancer = node("load balancer", limit)
            heartwire = node("Heartwire", "history, mask; no heartbeats", kind: "ours") + arrow + balancer + arrow
            more =
                count("cuts behind Heartwire", "\(id)-behind") + count("came later", "\(id)-late") + count("told of a gap", "\(id)-gaps")
        case .direct, .behind: (heartwire, more) = ("", "")
        }
        return """
            <section class="card lane \(id)" id="\(id)" data-state="waiting">
            <div class="title"><h2>\(title)</h2><span class="pill" id="\(id)-state">waiting</span></div>
            <div class="path">\(node("browser", "EventSource"))\(arrow)\(node("load balancer", limit))\(arrow)\(heartwire)\(node("backend", silence))</div>
            <dl>
            \(count("received", "\(id)-received"))
            \(count("lost", "\(id)-lost"))
            \(count("cuts", "\(id)-cuts"))
            \(more)
            <div><dt>last event</dt><dd id="\(id)-age">–</dd></div>
            </dl>
            <p class="say" id="\(id)-say">&nbsp;</p>
            </section>
            """
    }

    private static func count(_ name: String, _ id: String) -> String { "<div><dt>\(name)</dt><dd id=\"\(id)\">0</dd></div>" }

    private static func node(_ name: String, _ note: String, kind: String = "") -> String {
        "<span class=\"node \(kind)\"><b>\(name)</b><small>\(note)</small></span>"
    }

    /// A duration as text for people: `3 s`, `4.8 s`, which no line break splits.
    static func seconds(_ milliseconds: Int64) -> String {
        let tenths = (milliseconds + 50) / 100
        return tenths % 10 == 0 ? "\(tenths / 10)\u{A0}s" : "\(tenths / 10).\(tenths % 10)\u{A0}s"
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
