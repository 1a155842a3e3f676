// Frames under keys. A frame's tag names the key under which its bytes count as stored: real DRAM would hold the
// ciphertext, the emulator holds the plaintext and the tag, and makes the ciphertext when somebody looks with another key.

public import CPlatform
public import SNPArchitecture

extension PhysicalMemory {
    /// The key under which the frame's bytes are stored.
    @inlinable public func key(of pfn: PFN) -> KeyID {
        precondition(contains(pfn), "outside DRAM")
        return KeyID(rawValue: unsafe cp_load_relaxed_u32(tags + Int(pfn.rawValue) << 2))
    }

    /// Declares that the bytes now in the frame are the plaintext under `key`.
    @inlinable public func setKey(_ key: KeyID, of pfn: PFN) {
        precondition(contains(pfn), "outside DRAM")
        unsafe cp_undo_note_hidden(tags + Int(pfn.rawValue) << 2)
        unsafe cp_store_relaxed_u32(tags + Int(pfn.rawValue) << 2, key.rawValue)
    }

    /// Fills a frame with zeros under a key.
    public func zero(_ pfn: PFN, key: KeyID = .plain) {
        unsafe cp_undo_begin_bytes(pointer(pfn.address), 4096)
        unsafe pointer(pfn.address).initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
        unsafe cp_undo_end_bytes(pointer(pfn.address), 4096)
        setKey(key, of: pfn)
    }

    /// Copies bytes out as an access under `key` sees them. The range must be DRAM; it may cross frames.
    public func read(_ spa: SPA, into buffer: UnsafeMutableRawBufferPointer, key: KeyID) {
        precondition(contains(spa, count: UInt64(buffer.count)), "outside DRAM")
        forEachPiece(spa, count: buffer.count) { pfn, pageOffset, offset, count in
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + count])
            let stored = self.key(of: pfn)
            if stored == key {
                unsafe target.copyMemory(
                    from: UnsafeRawBufferPointer(start: pointer(pfn.address) + pageOffset, count: count))
            } else {
                let page = seen(pfn, stored: stored, under: key)
                unsafe page.withUnsafeBytes { bytes in
                    unsafe target.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[pageOffset..<pageOffset + count]))
                }
            }
        }
    }

    /// Copies bytes in as an access under `key` stores them. A frame stored under another key becomes ciphertext first.
    public func write(_ spa: SPA, from buffer: UnsafeRawBufferPointer, key: KeyID) {
        precondition(contains(spa, count: UInt64(buffer.count)), "outside DRAM")
        forEachPiece(spa, count: buffer.count) { pfn, pageOffset, offset, count in
            let stored = self.key(of: pfn)
            if stored != key {
                if count < 4096 {
                    let page = seen(pfn, stored: stored, under: key)
                    unsafe cp_undo_begin_bytes(pointer(pfn.address), 4096)
                    unsafe page.withUnsafeBytes {
                        unsafe pointer(pfn.address).copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: 4096)
                    }
                }
                setKey(key, of: pfn)
            }
            let source = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + count])
            let target = unsafe pointer(pfn.address) + pageOffset
            unsafe cp_undo_begin_bytes(target, count)
            unsafe UnsafeMutableRawBufferPointer(start: target, count: count).copyMemory(from: source)
        }
    }

    /// Reads an aligned quadword as an access under `key` sees it.
    public func quadword(at spa: SPA, key: KeyID) -> UInt64 {
        guard self.key(of: spa.frame) == key else {
            return bytes(spa, count: 8, key: key).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return UInt64(littleEndian: loadQuadword(at: spa))
    }

    /// Reads bytes as an access under `key` sees them.
    public func bytes(_ spa: SPA, count: Int, key: KeyID = .plain) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe read(spa, into: UnsafeMutableRawBufferPointer(buffer), key: key)
            initialized = count
        }
    }

    /// Stores bytes as an access under `key` does.
    public func store(_ bytes: [UInt8], at spa: SPA, key: KeyID = .plain) {
        unsafe bytes.withUnsafeBytes { unsafe write(spa, from: $0, key: key) }
    }

    /// Stores a slice of bytes as an access under `key` does.
    public func store(_ bytes: ArraySlice<UInt8>, at spa: SPA, key: KeyID = .plain) {
        unsafe bytes.withUnsafeBytes { unsafe write(spa, from: $0, key: key) }
    }

    /// Stores a little-endian quadword as an access under `key` does.
    public func store(_ value: UInt64, at spa: SPA, key: KeyID = .plain) {
        guard self.key(of: spa.frame) != key else { return storeQuadword(value, at: spa) }
        var bytes = value.littleEndian
        unsafe withUnsafeBytes(of: &bytes) { unsafe write(spa, from: $0, key: key) }
    }

    /// What a frame stored under one key looks like under another: decrypted from the ciphertext in DRAM.
    private func seen(_ pfn: PFN, stored: KeyID, under key: KeyID) -> [UInt8] {
        var page = unsafe [UInt8](UnsafeRawBufferPointer(start: pointer(pfn.address), count: 4096))
        encryption.encrypt(&page, at: pfn, key: stored)
        encryption.decrypt(&page, at: pfn, key: key)
        return page
    }

    /// Cuts a range into pieces within frames: frame, offset in the frame, offset in the range, count.
    private func forEachPiece(_ spa: SPA, count: Int, _ body: (PFN, Int, Int, Int) -> Void) {
        var done = 0
        while done < count {
            let here = spa + UInt64(done)
            let piece = min(4096 - here.pageOffset, count - done)
            body(here.frame, here.pageOffset, done, piece)
            done += piece
        }
    }
}
