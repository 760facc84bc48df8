// Tests that assert which marks the code came by. See Sources/Marks.

#if DEBUG
    import Marks
    import Synchronization
    import Testing

    /// How often each mark was reached, on any thread.
    package final class MarkCounts: Sendable {
        private let counts = Mutex<[Mark: Int]>([:])

        /// None was reached yet.
        package init() {}

        /// How often this one was reached.
        package subscript(_ mark: Mark) -> Int { counts.withLock { $0[mark] ?? 0 } }

        /// Those that were not reached.
        package var missing: [Mark] { Mark.allCases.filter { self[$0] == 0 } }

        /// Counts what is reached within `body`.
        package func count<Result>(_ body: () throws -> Result) rethrows -> Result {
            try Mark.$observer.withValue({ mark in self.counts.withLock { $0[mark, default: 0] += 1 } }, operation: body)
        }

        fileprivate func count(_ body: @Sendable () async throws -> Void) async rethrows {
            try await Mark.$observer.withValue({ mark in self.counts.withLock { $0[mark, default: 0] += 1 } }, operation: body)
        }
    }

    /// Fails a test that does not come by each of these marks, in one of its cases at least.
    package struct ReachingTrait: TestTrait, TestScoping {
        fileprivate let marks: [Mark]

        package func scopeProvider(for test: Test, testCase: Test.Case?) -> Self? { testCase == nil ? self : nil }

        package func provideScope(
            for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
        ) async throws {
            let counts = MarkCounts()
            try await counts.count(function)
            for mark in marks where counts[mark] == 0 {
                Issue.record("the test did not come by \(mark)", sourceLocation: test.sourceLocation)
            }
        }
    }

    extension Trait where Self == ReachingTrait {
        /// The test comes by these branches, which failed once.
        package static func reaches(_ marks: Mark...) -> Self { ReachingTrait(marks: marks) }
    }
#endif
