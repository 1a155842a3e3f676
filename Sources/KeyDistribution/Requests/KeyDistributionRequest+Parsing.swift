// From a request target to the document it asks for. Strict: what AMD's clients do not send is refused.

internal import Attestation
internal import SNPArchitecture

extension KeyDistributionRequest {
    /// Reads a request target.
    ///
    /// - Throws: in check order: 400 for a target that cannot be taken apart; 404 for a path that is none of the server's
    ///   and for an unknown product; 400 for a chip identifier of the wrong length or with other than hexadecimal
    ///   digits, for an unknown or repeated parameter, for a level that is no number from 0 to 255
    /// - Deviates: that a level left out counts as 0, and that unknown parameters are refused, is unconfirmed
    public init(target: String) throws(RequestRefusal) { try self.init(RequestTarget(target)) }

    init(_ target: RequestTarget) throws(RequestRefusal) {
        let segments = target.segments
        guard segments.count == 4, segments[1] == "v1", let kind = EndorsementKind(rawValue: segments[0]) else {
            throw .unknown("there is nothing under this path")
        }
        guard let product = AttestationProduct(rawValue: segments[2]) else {
            throw .unknown(
                "the product is unknown: \(AttestationProduct.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        switch (segments[3], kind) {
        case ("cert_chain", _):
            try Self.demandNone(target.parameters)
            self = .chain(kind, product)
        case ("crl", _):
            try Self.demandNone(target.parameters)
            self = .revocationList(kind, product)
        case (_, .vlek): throw .unknown("VLEK certificates are not given out here")
        case (let identifier, .vcek):
            let chip = try Self.chip(identifier, product)
            self = .endorsement(product, chip: chip, tcb: try Self.tcb(target.parameters, product))
        }
    }

    private static func demandNone(_ parameters: [RequestTarget.Parameter]) throws(RequestRefusal) {
        if let first = parameters.first { throw .malformed("the parameter \"\(first.name)\" is unknown") }
    }

    private static func chip(_ text: String, _ product: AttestationProduct) throws(RequestRefusal) -> [UInt8] {
        let digits = Array(text.utf8)
        let byteCount = product.chipIDByteCount
        guard digits.count == 2 * byteCount else {
            throw .malformed("the identifier of a \(product.rawValue) chip has \(2 * byteCount) hexadecimal digits")
        }
        var chip = [UInt8](repeating: 0, count: 64)
        for index in 0..<byteCount {
            guard let high = RequestTarget.digit(digits[2 * index]),
                let low = RequestTarget.digit(digits[2 * index + 1])
            else { throw .malformed("the chip's identifier is not hexadecimal") }
            chip[index] = high << 4 | low
        }
        return chip
    }

    private static func tcb(
        _ parameters: [RequestTarget.Parameter], _ product: AttestationProduct
    ) throws(RequestRefusal) -> TCBVersion {
        var levels: [TCBPart: UInt8] = [:]
        for parameter in parameters {
            guard let known = Self.parameters(of: product).first(where: { $0.name == parameter.name }) else {
                throw .malformed("the parameter \"\(parameter.name)\" is unknown for \(product.rawValue)")
            }
            guard levels[known.part] == nil else { throw .malformed("\(known.name) is given twice") }
            guard let level = Self.level(parameter.value) else {
                throw .malformed("\(known.name) is no decimal number from 0 to 255")
            }
            levels[known.part] = level
        }
        let parts = TCBComponents(
            fmc: levels[.fmc] ?? 0, bootLoader: levels[.bootLoader] ?? 0, tee: levels[.tee] ?? 0,
            snp: levels[.snp] ?? 0, microcode: levels[.microcode] ?? 0)
        return TCBVersion(parts, layout: product.tcbLayout)
    }

    /// One to three digits; UInt8's own initializer would accept a sign and other scripts' digits are none.
    private static func level(_ text: String) -> UInt8? {
        let digits = text.utf8
        guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt8(text)
    }
}
