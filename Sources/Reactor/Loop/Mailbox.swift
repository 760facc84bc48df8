// The one door between threads: jobs that another thread wants done on a worker. Cold by design; nothing of
// the data path goes through it.

import Synchronization

/// Jobs for a worker, from any thread.
public final class Mailbox: Sendable {
    /// What is to be done, on the worker's thread.
    public typealias Job = @Sendable (Worker) -> Void

    private let jobs = Mutex<[Job]>([])
    private let kernel: Kernel
    private let waker: Int32

    init(kernel: Kernel, waker: Int32) {
        self.kernel = kernel
        self.waker = waker
    }

    deinit { kernel.close(waker, abortively: false) }

    /// Has `job` run on the worker in its next turn.
    public func post(_ job: @escaping Job) {
        let wasEmpty = jobs.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        if wasEmpty { kernel.wake(waker) }
    }

    func take() -> [Job] {
        kernel.clearWaker(waker)
        return jobs.withLock { jobs in
            let taken = jobs
            jobs = []
            return taken
        }
    }
}
