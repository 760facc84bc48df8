// Where `heartwire probe` is answered.

/// The proxy's endpoint for probes.
package struct ProbeEndpoint: Sendable, Equatable {
    /// The path, compared byte by byte; below it is only `seen`.
    package var path: String
    /// The file with the secret that a probe has to prove.
    package var secretFile: String

    /// An endpoint.
    package init(path: String, secretFile: String) {
        self.path = path
        self.secretFile = secretFile
    }
}
