// The only way between threads: jobs that another thread sends to a worker. The data path does not use it, so it need not be fast.

import Synchronization

/// Jobs for a worker, from any thread.
public final class Mailbox: Sendable {
    /// A job that runs on the worker's thread.
    public typealias Job = @Sendable (Worker) -> Void

    private let jobs = Mutex<[Job]>([])
    private let kernel: Kernel
    private let waker: Int32

    init(kernel: Kernel, waker: Int32) {
        self.kernel = kernel
        self.waker = waker
    }

    deinit { kernel.close(waker, abortively: false) }

    /// Runs `job` on the worker in its next turn.
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
