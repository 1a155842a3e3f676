// A client of key distribution servers: tries again where that helps, and says what happened where it does not.

public import Attestation
internal import NIOCore
internal import NIOPosix
public import SNPArchitecture

/// A client of a key distribution server. Its calls block the thread.
public struct KeyDistributionClient: Sendable {
    /// The server.
    public let server: ServerLocation
    /// How often and how long it tries.
    public var policy: RetryPolicy
    /// Makes a pause; tests put something quicker in its place.
    var pause: @Sendable (Duration) -> Void = { duration in
        let loop = NIOSingletons.posixEventLoopGroup.next()
        try? loop.scheduleTask(in: TimeAmount(duration)) {}.futureResult.wait()
    }

    /// Makes a client.
    ///
    /// - Throws: `.secureScheme` or `.malformedURL`
    public init(url: String, policy: RetryPolicy = RetryPolicy()) throws(KeyDistributionError) {
        do throws(KeyDistributionFailure) {
            server = try ServerLocation(url)
        } catch {
            throw KeyDistributionError(error, url: url)
        }
        self.policy = policy
    }

    /// Fetches a document's bytes.
    ///
    /// - Throws: the last failure and the number of attempts
    public func fetch(_ request: KeyDistributionRequest) throws(KeyDistributionError) -> [UInt8] {
        try attempt(request).bytes
    }

    /// Fetches the intermediate certificate and the root.
    ///
    /// - Throws: what `fetch` throws, `.certificate`, `.chainLength`
    public func chain(
        _ kind: EndorsementKind, of product: AttestationProduct
    ) throws(KeyDistributionError) -> (ark: Certificate, intermediate: Certificate) {
        let request = KeyDistributionRequest.chain(kind, product)
        let (bytes, attempts) = try attempt(request)
        let certificates: [Certificate]
        do throws(CertificateError) {
            guard let text = String(validating: bytes, as: UTF8.self) else { throw .noPEM }
            certificates = try Certificate.all(pem: text)
        } catch {
            throw self.error(.certificate(error), request, attempts: attempts)
        }
        guard certificates.count == 2 else {
            throw error(.chainLength(certificates.count), request, attempts: attempts)
        }
        return (ark: certificates[1], intermediate: certificates[0])
    }

    /// Fetches the revocation list of a product's root.
    ///
    /// - Throws: what `fetch` throws, `.certificate`
    public func revocationList(
        _ kind: EndorsementKind, of product: AttestationProduct
    ) throws(KeyDistributionError) -> RevocationList {
        let request = KeyDistributionRequest.revocationList(kind, product)
        let (bytes, attempts) = try attempt(request)
        do throws(CertificateError) {
            return try RevocationList(der: bytes)
        } catch {
            throw self.error(.certificate(error), request, attempts: attempts)
        }
    }

    /// Fetches the VCEK certificate of a chip at a TCB. The identifier is that of a report, 64 bytes.
    ///
    /// - Throws: what `fetch` throws, `.certificate`
    public func endorsement(
        of product: AttestationProduct, chip: [UInt8], tcb: TCBVersion
    ) throws(KeyDistributionError) -> Certificate {
        let request = KeyDistributionRequest.endorsement(product, chip: chip, tcb: tcb)
        let (bytes, attempts) = try attempt(request)
        do throws(CertificateError) {
            return try Certificate(der: bytes)
        } catch {
            throw self.error(.certificate(error), request, attempts: attempts)
        }
    }

    private func attempt(
        _ request: KeyDistributionRequest
    ) throws(KeyDistributionError) -> (bytes: [UInt8], attempts: Int) {
        var attempts = 0
        while true {
            attempts += 1
            let failure: KeyDistributionFailure
            var retryAfterSeconds: Int?
            do throws(KeyDistributionFailure) {
                let reply = try HTTPExchange.get(request.target, from: server, policy)
                guard reply.status != 200 else { return (reply.body, attempts) }
                failure = .status(reply.status)
                if reply.status == 429 || reply.status == 503 { retryAfterSeconds = reply.retryAfterSeconds }
            } catch {
                failure = error
            }
            switch policy.step(after: attempts, failure, retryAfterSeconds: retryAfterSeconds) {
            case .giveUp(let failure): throw error(failure, request, attempts: attempts)
            case .pause(let duration): pause(duration)
            }
        }
    }

    func error(
        _ failure: KeyDistributionFailure, _ request: KeyDistributionRequest, attempts: Int
    ) -> KeyDistributionError {
        KeyDistributionError(failure, url: "\(server)\(request.target)", attempts: attempts)
    }
}
