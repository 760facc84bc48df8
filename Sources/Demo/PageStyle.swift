// The page's style, for light and dark mode, for desktops and phones. Each colour has one meaning: green is alive, red is dead or lost,
// amber is silence, blue is an event. Shapes say the same without colour.

extension Page {
    /// The style sheet.
    static let style = #"""
        :root {
          --ground: #f6f5f2; --card: #ffffff; --ink: #1b222c; --soft: #5b6472; --line: #dfdcd5; --faint: #efede8;
          --event: #2459c7; --alive: #0b7a5c; --dead: #c0322a; --silence: #8f6200; --silence-soft: rgba(217, 154, 27, .2);
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #11151b; --card: #191f28; --ink: #e7ebf1; --soft: #9ba6b5; --line: #2d3642; --faint: #222a35;
            --event: #86adff; --alive: #42cf9f; --dead: #ff7468; --silence: #e9b44c; --silence-soft: rgba(233, 180, 76, .16);
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; max-width: 1280px; padding: 16px 20px; background: var(--ground); color: var(--ink);
          font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
        }
        h1, h2, h3, p, dl, dd, ol, ul { margin: 0; padding: 0; }
        h1 { font-size: 22px; letter-spacing: -.01em; }
        h2 { font-size: 17px; }
        h3 { font-size: 12px; font-weight: 600; color: var(--soft); }
        header { margin-bottom: 12px; }
        header p { color: var(--soft); }
        header b { color: var(--ink); font-weight: 600; }
        nav { margin-top: 4px; font-size: 14px; }
        a { color: var(--event); }
        main { display: grid; gap: 12px; }
        .lanes { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
        .kept { grid-column: 1 / -1; }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; min-width: 0; }

        .title { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 4px 10px; }
        .pill {
          font-size: 13px; font-weight: 600; padding: 2px 10px; border-radius: 99px; border: 1px solid currentColor;
          color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap;
        }
        [data-state="alive"] .pill, [data-state="kept"] .pill { color: var(--alive); }
        [data-state="silent"] .pill { color: var(--silence); }
        [data-state="refused"] .pill, [data-state="cut"] .pill { color: var(--dead); }

        .path { display: flex; align-items: center; margin: 10px 0; }
        .node {
          flex: 0 1 auto; min-width: 0; text-align: center; border: 1px solid var(--line); border-radius: 8px; padding: 4px 9px;
          line-height: 1.25; background: var(--faint);
        }
        .node b { display: block; font-size: 13px; font-weight: 600; }
        .node small { display: block; font-size: 11px; color: var(--soft); }
        .node.ours { border-color: var(--alive); }
        .node.ours b { color: var(--alive); }
        .wire { flex: 1 1 10px; min-width: 8px; height: 0; border-top: 2px solid var(--line); }
        [data-state="alive"] .wire, [data-state="kept"] .wire { border-color: var(--alive); }
        [data-state="silent"] .wire { border-color: var(--silence); }
        [data-state="refused"] .wire, [data-state="cut"] .wire { border-color: var(--dead); border-top-style: dashed; }

        dl { display: flex; flex-wrap: wrap; gap: 4px 26px; }
        dl div { min-width: 58px; }
        dt { font-size: 12px; color: var(--soft); }
        dd { font-size: 21px; font-weight: 600; line-height: 1.2; font-variant-numeric: tabular-nums; }
        dd.bad { color: var(--dead); }
        dd.good { color: var(--alive); }
        .say { margin-top: 6px; min-height: 2.9em; font-size: 14px; color: var(--soft); }

        .picture { padding: 10px 14px 8px; }
        canvas { display: block; width: 100%; height: 300px; }
        .legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 20px; margin-top: 6px; font-size: 12px; color: var(--soft); }
        .legend li { display: flex; align-items: center; gap: 6px; }
        .mark { display: inline-block; width: 12px; height: 12px; flex: none; }
        .mark.event { border-radius: 50%; background: var(--event); width: 10px; height: 10px; }
        .mark.missed { border-radius: 50%; border: 2px solid var(--dead); width: 11px; height: 11px; }
        .mark.late { border-radius: 50%; border: 2px solid var(--alive); width: 11px; height: 11px; }
        .mark.silence { background: var(--silence-soft); border: 1px solid var(--silence); }
        .mark.refused { background: var(--dead); border-radius: 2px; }
        .mark.cut { background:
          linear-gradient(45deg, transparent 42%, var(--dead) 42%, var(--dead) 58%, transparent 58%),
          linear-gradient(-45deg, transparent 42%, var(--dead) 42%, var(--dead) 58%, transparent 58%); }
        .mark.heartbeat { width: 18px; height: 16px; fill: none; stroke: var(--alive); stroke-width: 2; }

        .log ol { list-style: none; height: 112px; overflow: hidden; margin-top: 4px; font: 12px/16px ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
        .log li { white-space: pre; overflow: hidden; text-overflow: ellipsis; }
        .log time { color: var(--soft); margin-right: 10px; }
        .log .heartbeat { color: var(--alive); }
        .log .bad { color: var(--dead); }
        .log .note { color: var(--soft); }
        details summary { cursor: pointer; font-size: 13px; color: var(--soft); }
        pre { margin: 8px 0 0; font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; overflow-x: auto; }

        @media (max-width: 760px) {
          body { padding: 12px; }
          main, .lanes { grid-template-columns: minmax(0, 1fr); }
          /* The picture first: it explains itself, and the cards explain the picture. */
          .picture { order: -1; }
          h1 { font-size: 20px; }
          .node { max-width: 25%; padding: 4px 3px; }
          .node:first-child { flex-shrink: 0; padding: 4px 5px; }
          .node:first-child small { display: none; }
          .node b { font-size: 12px; }
          .node small { font-size: 10px; }
          .wire { flex-shrink: 1; min-width: 4px; }
          dl { gap: 4px 14px; }
          dl div { min-width: 0; }
          dd { font-size: 18px; }
        }
        """#
}
