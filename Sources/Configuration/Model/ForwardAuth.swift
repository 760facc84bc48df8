// A service that says whether requests may pass, as it is configured.

/// Who is asked before a request goes to a server, and what counts of the answer.
package struct ForwardAuth: Sendable, Equatable {
    /// What the configuration calls it.
    package var name: String
    /// Where the service is, and how long it may take.
    package var service: ServiceEndpoint
    /// What it gets, what servers get of its answers, and for how long they are good.
    package var terms: ForwardAuthTerms

    /// A service.
    package init(name: String, service: ServiceEndpoint, terms: ForwardAuthTerms = ForwardAuthTerms()) {
        self.name = name
        self.service = service
        self.terms = terms
    }
}

/// What such a service gets, what servers get of its answers, and for how long they are good.
package struct ForwardAuthTerms: Sendable, Equatable {
    /// The fields of a request that the service gets where nothing else is said.
    static let usuallySent = ["Cookie", "Authorization"]

    /// The fields of a request that the service gets.
    package var sent = ForwardAuthTerms.usuallySent
    /// The fields of its answer that servers get.
    package var taken: [String] = []
    /// For how long an answer that lets a request pass is good for the same question, in milliseconds.
    package var cacheMilliseconds = 10_000
    /// The same for an answer that refuses a request.
    package var deniedCacheMilliseconds = 2_000
    /// How often the service is asked about a living stream, in milliseconds; nil for never.
    package var recheckMilliseconds: Int?
    /// How long a living stream goes on while the service does not answer, in milliseconds.
    package var recheckGraceMilliseconds = 600_000

    /// The defaults of conf/README.md.
    package init() {}
}
