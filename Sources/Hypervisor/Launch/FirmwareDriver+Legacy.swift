// Legacy SEV commands on a host whose firmware is initialised for SNP: firmware writes only to pages that are its own, so that
// every buffer that it writes is bounced.

internal import Machine
public import SNPArchitecture

extension FirmwareDriver {
    /// Sends a legacy command and returns its buffer as firmware left it.
    ///
    /// - Throws: as `exchangeLegacy`, and `.status` (anything but success)
    public func sendLegacy<Buffer: CommandBuffer>(_ buffer: Buffer) throws(FirmwareError) -> Buffer {
        let (status, buffer) = try exchangeLegacy(buffer)
        guard status == .success else { throw .status(status) }
        return buffer
    }

    /// Sends a legacy command; returns its status and its buffer, where firmware may have written which lengths it needs.
    ///
    /// Places that the buffer names are the host's. Once firmware is initialised for SNP it gets pages of its own instead, of
    /// which the host copies what was written; the caller's addresses stand in the buffer again afterwards.
    ///
    /// - Spec: patch 25 of the series; Linux: `snp_prep_cmd_buf()`, `snp_reclaim_cmd_buf()`
    /// - Throws: in check order: `.noMemory` (also for more than 2 MiB), `.pageState`: then everything is as it was;
    ///   `.dead`, `.timedOut`, `.notReclaimed`: then pages have leaked; `.pageState` (the host may not write to a place)
    public func exchangeLegacy<Buffer: CommandBuffer>(
        _ buffer: Buffer
    ) throws(FirmwareError) -> (status: FirmwareStatus, buffer: Buffer) {
        let (status, bytes) = try exchangeLegacy(Buffer.command, buffer.bytes, byteCount: Buffer.byteCount)
        return (status, Buffer(bytes: bytes))
    }

    /// As the one for a typed buffer.
    func exchangeLegacy(
        _ command: FirmwareCommand, _ bytes: CommandBytes, byteCount: Int
    ) throws(FirmwareError) -> (FirmwareStatus, CommandBytes) {
        guard snp.current.isInitialized, let rule = LegacyBuffers.of(command) else {
            let (status, result) = try transact(command, bytes.prefix(byteCount))
            return (status, CommandBytes(result))
        }
        var patched = bytes
        var bounces: [Bounce] = []
        var own: FirmwareBlock?
        do throws(FirmwareError) {
            for output in rule.outputs {
                guard let bounce = try bounce(output, bytes) else { continue }
                bounces.append(bounce)
                patched[output.address, as: UInt64.self] = bounce.block.pfn.address.rawValue
            }
            if rule.writesBuffer { own = try allocateBlock(pageCount: 1, contents: patched.prefix(byteCount)) }
        } catch {
            // Those mapped before the one that failed, which has cleaned up after itself.
            for bounce in bounces { try? freeBlock(bounce.block) }
            throw error
        }
        var outcome: (status: FirmwareStatus, buffer: [UInt8])?
        var failure: FirmwareError?
        do throws(FirmwareError) {
            outcome = try transact(command, patched.prefix(byteCount), in: own?.pfn)
        } catch { failure = error }
        // The host reads any page. It reads before the pages are somebody else's.
        for index in bounces.indices { bounces[index].read(from: access) }
        if let own { failure = release(own, failure) }
        for bounce in bounces { failure = release(bounce.block, failure) }
        if let failure { throw failure }
        guard let outcome else { throw .noMemory }
        for bounce in bounces {
            do throws(HostPageFault) { try access.store(bounce.bytes, at: bounce.target) } catch {
                throw .pageState(.failPermission)
            }
        }
        var result = CommandBytes(outcome.buffer)
        for output in rule.outputs { result[output.address, as: UInt64.self] = bytes[output.address, as: UInt64.self] }
        return (outcome.status, result)
    }

    private func release(_ block: FirmwareBlock, _ earlier: FirmwareError?) -> FirmwareError? {
        do throws(FirmwareError) {
            try freeBlock(block)
            return earlier
        } catch { return earlier ?? error }
    }

    /// A place that firmware writes by way of pages of its own.
    private struct Bounce {
        var target: SPA
        var byteCount: Int
        var block: FirmwareBlock
        var bytes: [UInt8] = []

        mutating func read(from access: HostAccess) {
            bytes = (try? access.bytes(block.pfn.address, count: byteCount)) ?? []
        }
    }

    /// Pages for one place; nil for a place without room, which firmware only measures.
    private func bounce(
        _ output: LegacyBuffers.Output, _ bytes: CommandBytes
    ) throws(FirmwareError) -> Bounce? {
        let target = SPA(bytes[output.address, as: UInt64.self])
        let count = bytes[output.length, as: UInt32.self]
        guard count > 0, target.rawValue != 0 else { return nil }
        let block = try allocateBlock(pageCount: (UInt64(count) + 4095) >> 12)
        return Bounce(target: target, byteCount: Int(count), block: block)
    }
}
