// The counts of one worker: plain integers of one thread, with nothing atomic on the path. Other threads get a copy of them through the
// worker's mailbox, as a `CounterSnapshot`. Invariant: a series that exists keeps its integers; there is room for each series of the
// configuration in force.

/// The counters of one worker. Counts wrap around after 2⁶⁴.
package final class WorkerCounters {
    /// The integers of all series of one scope: one piece for each series, in the order of the table.
    private struct Block {
        var cells: UnsafeMutablePointer<UInt64>
        var count: Int
        let stride: Int
    }

    private var blocks: [Block]
    /// What an event's path counts, valid until room is made.
    package private(set) var path: PathCells

    /// Counters at zero, with room for these series.
    package init(_ series: MetricSeries) {
        blocks = MetricTable.strides.map { Block(cells: .allocate(capacity: 0), count: 0, stride: $0) }
        path = PathCells(route: blocks[MetricRow.Scope.route.rawValue].cells, proxy: blocks[MetricRow.Scope.proxy.rawValue].cells)
        makeRoom(for: series)
    }

    deinit { for block in blocks { block.cells.deallocate() } }

    /// Makes room for the series of another configuration, which continues the one before.
    package func makeRoom(for series: MetricSeries) {
        for scope in MetricRow.Scope.allCases {
            let (block, count) = (blocks[scope.rawValue], series.count(scope) * blocks[scope.rawValue].stride)
            guard count > block.count else { continue }
            let cells = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
            cells.initialize(repeating: 0, count: count)
            cells.update(from: block.cells, count: block.count)
            block.cells.deallocate()
            (blocks[scope.rawValue].cells, blocks[scope.rawValue].count) = (cells, count)
        }
        path = PathCells(route: blocks[MetricRow.Scope.route.rawValue].cells, proxy: blocks[MetricRow.Scope.proxy.rawValue].cells)
    }

    /// Adds to a counter or a gauge.
    package func add(_ metric: Metric, of series: Int32 = 0, _ count: UInt64 = 1) {
        add(metric, Unlabelled.only, of: series, count)
    }

    /// Subtracts one from a gauge.
    package func subtract(_ metric: Metric, of series: Int32 = 0) { cells(of: metric, Unlabelled.only, series).pointee &-= 1 }

    /// Adds to a counter with a closed label.
    package func add<Label: MetricLabel>(_ metric: Metric, _ label: Label, of series: Int32 = 0, _ count: UInt64 = 1) {
        cells(of: metric, label, series).pointee &+= count
    }

    /// Sets a gauge, when a copy is about to be made.
    package func set(_ metric: Metric, of series: Int32 = 0, to value: Int) {
        cells(of: metric, Unlabelled.only, series).pointee = UInt64(max(value, 0))
    }

    /// Adds a value to a histogram.
    package func observe(_ metric: Metric, of series: Int32 = 0, milliseconds: Int64) {
        observe(metric, Unlabelled.only, of: series, milliseconds: milliseconds)
    }

    /// Adds a value to a histogram with a closed label.
    package func observe<Label: MetricLabel>(_ metric: Metric, _ label: Label, of series: Int32 = 0, milliseconds: Int64) {
        let bounds = MetricTable.bounds[metric.rawValue]
        let (cells, count) = (cells(of: metric, label, series), bounds.count)
        precondition(count > 0, "\(metric) is no histogram")
        // A clock never goes back, but a sum that did would be worse than a small mistake.
        let value = max(milliseconds, 0)
        var bucket = 0
        while bucket < count, value > bounds[bucket] { bucket += 1 }
        cells[bucket] &+= 1
        cells[count + 1] &+= UInt64(value)
    }

    private func cells<Label: MetricLabel>(of metric: Metric, _ label: Label, _ series: Int32) -> UnsafeMutablePointer<UInt64> {
        assert(metric.row.labelNames == Label.names, "\(metric) has other labels")
        let placement = metric.placement
        let block = blocks[placement.scope]
        let start = Int(series) * block.stride + placement.offset + label.place * placement.width
        precondition(start >= 0 && start + placement.width <= block.count, "\(metric) has no such series")
        return block.cells + start
    }

    // MARK: Copies

    /// A copy of all integers. It takes as long as copying the memory does, however many streams there are.
    package func snapshot() -> CounterSnapshot {
        CounterSnapshot(cells: blocks.map { Array(UnsafeBufferPointer(start: $0.cells, count: $0.count)) })
    }
}

/// The counts of one worker at a moment, or of several together.
package struct CounterSnapshot: Sendable, Equatable {
    /// The integers of each scope.
    private var cells: [[UInt64]]

    fileprivate init(cells: [[UInt64]]) { self.cells = cells }

    /// Nothing counted.
    package init() { cells = MetricRow.Scope.allCases.map { _ in [] } }

    /// Adds the counts of another worker. A worker that has not taken the newest configuration yet has fewer series.
    package mutating func add(_ others: CounterSnapshot) {
        for scope in cells.indices {
            let added = others.cells[scope]
            if added.count > cells[scope].count {
                cells[scope] += [UInt64](repeating: 0, count: added.count - cells[scope].count)
            }
            for index in added.indices { cells[scope][index] &+= added[index] }
        }
    }

    /// The integers of one series: one, or those of a histogram's buckets, none of which includes the one before it, and their sum.
    func values(of metric: Metric, label: Int, series: Int) -> ArraySlice<UInt64> {
        let placement = metric.placement
        let (cells, width) = (cells[placement.scope], placement.width)
        let start = series * MetricTable.strides[placement.scope] + placement.offset + label * width
        guard start + width <= cells.count else { return ArraySlice(repeating: 0, count: width) }
        return cells[start..<(start + width)]
    }

    /// Whether nothing was counted for a metric in a series.
    func isEmpty(_ metric: Metric, series: Int) -> Bool {
        metric.row.labelValues.indices.allSatisfy { values(of: metric, label: $0, series: series).allSatisfy { $0 == 0 } }
    }

    /// One integer of a counter or a gauge.
    package func value<Label: MetricLabel>(of metric: Metric, _ label: Label, series: Int = 0) -> UInt64 {
        values(of: metric, label: label.place, series: series).first ?? 0
    }

    /// All that was counted for a metric, over all its series; for a histogram, how many values.
    package func total(of metric: Metric) -> UInt64 {
        let (row, stride) = (metric.row, MetricTable.strides[metric.row.scope.rawValue])
        var total: UInt64 = 0
        for series in 0..<(cells[row.scope.rawValue].count / stride) {
            for label in row.labelValues.indices {
                let values = values(of: metric, label: label, series: series)
                if case .histogram = row.kind { total &+= values.dropLast().reduce(0, &+) } else { total &+= values.first ?? 0 }
            }
        }
        return total
    }
}

/// Where the integers stand that the path of an event adds to. A plain value beside the path's other state: a reference to the counters
/// would be retained and released for each event, which costs five times the additions. A route's are `stride` times its number behind
/// the pointers.
package struct PathCells {
    /// Events of a route.
    package let events: UnsafeMutablePointer<UInt64>
    /// Bytes from the servers of a route; behind them those to its clients.
    package let bytes: UnsafeMutablePointer<UInt64>
    /// Heartbeats of a route.
    package let heartbeats: UnsafeMutablePointer<UInt64>
    /// Heartbeats that were late by a tick of the timers at most, as nearly all are.
    package let punctualHeartbeats: UnsafeMutablePointer<UInt64>
    /// Milliseconds by which heartbeats were late.
    package let latenessSum: UnsafeMutablePointer<UInt64>
    /// How many integers one route has.
    package let stride: Int

    fileprivate init(route: UnsafeMutablePointer<UInt64>, proxy: UnsafeMutablePointer<UInt64>) {
        let lateness = Metric.heartbeatLateness.placement
        events = route + Metric.events.placement.offset
        bytes = route + Metric.streamBytes.placement.offset
        heartbeats = route + Metric.heartbeats.placement.offset
        punctualHeartbeats = proxy + lateness.offset
        latenessSum = proxy + lateness.offset + lateness.width - 1
        stride = MetricTable.strides[MetricRow.Scope.route.rawValue]
    }
}
