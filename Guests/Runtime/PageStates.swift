// Page state changes through the GHCB, and acceptance: what the host gives, the guest validates before it uses it.

import Hardware

enum PageOperation: UInt64 {
    case makePrivate = 1
    case makeShared = 2
}

enum PageSize: UInt64 {
    case size4K = 0
    case size2M = 1
    var byteCount: UInt64 { self == .size4K ? 4096 : 0x20_0000 }
}

enum PageStates {
    /// The most entries that the shared buffer holds.
    static let maximumEntryCount: UInt64 = 253
    static let unchanged: UInt32 = 0x100
    static let sizeMismatch: UInt32 = 6

    static func entry(_ address: UInt64, _ operation: PageOperation, _ size: PageSize) -> UInt64 {
        address & 0x000f_ffff_ffff_f000 | operation.rawValue << 52 | size.rawValue << 56
    }

    /// Changes consecutive pages, as many in one request as fit. False if the host refuses.
    static func change(_ address: UInt64, _ count: UInt64, _ operation: PageOperation, _ size: PageSize) -> Bool {
        Console.flush()
        guard let ghcb = GHCB.current else { return false }
        var done: UInt64 = 0
        while done < count {
            let piece = min(count - done, maximumEntryCount)
            store64(ghcb.buffer, (piece - 1) << 16)
            for index in 0..<piece {
                let page = address + (done + index) * size.byteCount
                store64(ghcb.buffer + 8 + index * 8, entry(page, operation, size))
            }
            // The host may stop in between and wants to be asked again.
            while load16(ghcb.buffer) <= load16(ghcb.buffer + 2) {
                let before = load64(ghcb.buffer)
                ghcb.begin()
                ghcb.set(.scratch, ghcb.buffer)
                let result = ghcb.call(ExitCode.pageStateChange)
                let after = load64(ghcb.buffer)
                guard result.isDone, result.info2 == 0 else { return false }
                // A host that grows the list, or goes back in it, would make the guest loop for ever.
                guard after >> 16 == before >> 16, after & 0xffff >= before & 0xffff else { return false }
            }
            done += piece
        }
        return true
    }

    /// Validates pages, or rescinds that; each must have been in the other state. A 2 MiB page that the host has made of
    /// 4 KiB pages is validated as these.
    static func validate(_ address: UInt64, _ count: UInt64, _ size: PageSize, _ validate: Bool) -> Bool {
        for index in 0..<count {
            let page = address + index * size.byteCount
            let status = pvalidate(page, UInt32(size.rawValue), validate ? 1 : 0)
            if status & 0xff == sizeMismatch, size == .size2M {
                guard Self.validate(page, 512, .size4K, validate) else { return false }
            } else if status != 0 {
                return false
            }
        }
        return true
    }

    /// Takes pages into private use: the host gives them, the guest validates them.
    static func accept(_ address: UInt64, _ count: UInt64, _ size: PageSize) -> Bool {
        change(address, count, .makePrivate, size) && validate(address, count, size, true)
    }

    /// Gives private pages to both sides, in the order that loses no page: validation first, then the state, then the map.
    static func share(_ address: UInt64, _ count: UInt64, _ size: PageSize) -> Bool {
        guard validate(address, count, size, false), change(address, count, .makeShared, size) else { return false }
        map(address, count, size, isPrivate: false)
        return true
    }

    /// Takes shared pages back.
    static func unshare(_ address: UInt64, _ count: UInt64, _ size: PageSize) -> Bool {
        guard change(address, count, .makePrivate, size) else { return false }
        map(address, count, size, isPrivate: true)
        return validate(address, count, size, true)
    }

    static func map(_ address: UInt64, _ count: UInt64, _ size: PageSize, isPrivate: Bool) {
        switch size {
        case .size4K: PageTables.map(address, count, isPrivate: isPrivate)
        case .size2M:
            for index in 0..<count { PageTables.mapLarge(address + index * size.byteCount, isPrivate: isPrivate) }
        }
    }
}

/// Pages of free memory, accepted one by one.
enum Pages {
    nonisolated(unsafe) private static var next: UInt64 = 0

    /// A private, validated page of zeros that does not start 2 MiB.
    static func allocate() -> UInt64 {
        if next == 0 { next = boot.freeStart }
        if next & 0x1f_ffff == 0 { next += 4096 }
        let page = next
        next += 4096
        guard next <= min(boot.memorySize, boot.mappedEnd) else { fail("the memory is used up") }
        guard PageStates.accept(page, 1, .size4K) else { fail("the host gives no page") }
        for offset in stride(from: 0, to: UInt64(4096), by: 8) { store64(page + offset, 0) }
        return page
    }

    /// A page that the host can read too.
    static func allocateShared() -> UInt64 {
        let page = allocate()
        guard PageStates.share(page, 1, .size4K) else { fail("the host does not share a page") }
        return page
    }
}
