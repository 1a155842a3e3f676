// A VMSA page to and from encrypted memory, as VMRUN and #VMEXIT move it. Nothing is kept between two runs: the page is the
// truth, whoever changes it meanwhile.

internal import SNPArchitecture

extension PhysicalMemory {
    /// The registers in a frame as an access under `key` sees them. A page stored under that key is read where it lies.
    func load(_ registers: inout VMSA, from pfn: PFN, key: KeyID) {
        guard self.key(of: pfn) == key else {
            registers = VMSA(quadwords: quadwords(of: pfn, key: key))
            return
        }
        // SAFETY: the frame is DRAM, 4096 bytes, and aligned; each byte is read once, into a value.
        unsafe registers.load(from: pointer(pfn.address))
    }

    /// Stores registers in a frame as an access under `key` does, and leaves the page's reserved bytes as that access sees
    /// them.
    func store(_ registers: inout VMSA, in pfn: PFN, key: KeyID) {
        guard self.key(of: pfn) == key else {
            var page = quadwords(of: pfn, key: key)
            registers.store(into: &page)
            return store(page, in: pfn, key: key)
        }
        unsafe withFrameBytes(pfn, writing: 0..<VMSA.saveAreaByteCount) { frame in
            // SAFETY: the frame's 4096 bytes, aligned.
            unsafe registers.store(at: frame.baseAddress.unsafelyUnwrapped)
        }
    }

    /// The quadwords of a frame as an access under `key` sees them.
    private func quadwords(of pfn: PFN, key: KeyID) -> InlineArray<512, UInt64> {
        var page = InlineArray<512, UInt64>(repeating: 0)
        // SAFETY: an InlineArray of 512 quadwords is 4096 bytes in order, and every bit pattern is a value.
        unsafe withUnsafeMutableBytes(of: &page) { unsafe read(pfn.address, into: $0, key: key) }
        for index in page.indices { page[index] = UInt64(littleEndian: page[index]) }
        return page
    }

    /// Stores quadwords in a frame as an access under `key` does.
    private func store(_ quadwords: InlineArray<512, UInt64>, in pfn: PFN, key: KeyID) {
        var page = quadwords
        for index in page.indices { page[index] = page[index].littleEndian }
        // SAFETY: as above; the bytes are copied out.
        unsafe withUnsafeBytes(of: &page) { unsafe write(pfn.address, from: $0, key: key) }
    }
}
