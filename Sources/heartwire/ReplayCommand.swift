// `heartwire replay`: a backend that plays a recording, until a signal ends it.

import Configuration
import Reactor
import Replay

enum ReplayCommand {
    /// Plays the recording; returns when a signal has ended it.
    static func run(_ path: String, at listener: Listener, speed: Int) {
        let recording: RecordingFile
        do throws(RecordingFile.Unusable) { recording = try RecordingFile(path: path) } catch {
            Main.fail(error.message, status: ExitStatus.noInput)
        }
        do throws(SystemError) {
            let kernel = LinuxKernel()
            let worker = try Worker(number: 0, kernel: kernel)
            let descriptor = try kernel.listen(DemoCommand.address(of: listener, kernel), sharingPort: false)
            let address = kernel.localAddress(of: descriptor)?.description ?? listener.description
            let backend = try ReplayBackend(worker: worker, descriptor: descriptor, playing: recording, speed: speed)
            SystemProcess.warn("heartwire: http://\(address) plays \(recording.summary)\(speed > 1 ? "; \(speed) times as fast" : "")")
            let mailbox = worker.mailbox
            SystemThread.start(name: "signals") {
                while SystemProcess.nextSignal() != .terminate {}
                mailbox.post { worker in (worker.resident as? ReplayBackend)?.stop() }
            }
            worker.run()
            withExtendedLifetime(backend) {}
        } catch {
            Main.fail("cannot listen on \(listener): \(error.message)", status: ExitStatus.unavailable)
        }
    }
}
