// Which product line a report comes from, as far as it says.

public import SNPArchitecture

extension AttestationReport {
    /// The product line: of the processor that the report names, or Turin if the chip's id has 8 bytes; nil if a report
    /// of version 2 may come from Milan or Genoa, or if nothing can be said.
    public var likelyProduct: AttestationProduct? {
        if let processor { return processor.product }
        guard chipID.contains(where: { $0 != 0 }) else { return nil }
        return chipID.dropFirst(AttestationProduct.turin.chipIDByteCount).allSatisfy { $0 == 0 } ? .turin : nil
    }
}
