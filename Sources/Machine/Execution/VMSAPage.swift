// A VMSA page to and from encrypted memory, as VMRUN and #VMEXIT move it.

internal import SNPArchitecture

extension PhysicalMemory {
    /// The quadwords of a frame as an access under `key` sees them.
    func quadwords(of pfn: PFN, key: KeyID) -> InlineArray<512, UInt64> {
        var page = InlineArray<512, UInt64>(repeating: 0)
        // SAFETY: an InlineArray of 512 quadwords is 4096 bytes in order, and every bit pattern is a value.
        unsafe withUnsafeMutableBytes(of: &page) { unsafe read(pfn.address, into: $0, key: key) }
        for index in page.indices { page[index] = UInt64(littleEndian: page[index]) }
        return page
    }

    /// Stores quadwords in a frame as an access under `key` does.
    func store(_ quadwords: InlineArray<512, UInt64>, in pfn: PFN, key: KeyID) {
        var page = quadwords
        for index in page.indices { page[index] = page[index].littleEndian }
        // SAFETY: as above; the bytes are copied out.
        unsafe withUnsafeBytes(of: &page) { unsafe write(pfn.address, from: $0, key: key) }
    }
}
