// The first guest to read: gets a GHCB, turns a page over to the host and back, and has firmware attest to it.

import Hardware

func guestMain() {
    let session = Session.open()
    Console.writeLine("hello from an SEV-SNP guest")
    Console.write("  GHCB protocol version 2 of ", decimal: session.maximumVersion)
    Console.write(", host features 0x", hexadecimal: session.features)
    Console.write(", SEV_STATUS 0x", hexadecimal: sev_status())
    Console.writeLine()
    Console.write("  memory 0x", hexadecimal: boot.memorySize)
    Console.write(", virtual CPUs ", decimal: UInt64(boot.virtualCPUCount))
    Console.write(", C-bit ", decimal: boot.cBitPosition)
    Console.writeLine()

    checkProcessor()
    convertOnePage()
    if attest() { Console.writeLine("goodbye") }
}

/// CPUID and IN go through #VC; RMPADJUST tells the privilege level.
func checkProcessor() {
    let vendor = cpuid(0, 0)
    Check.equal(UInt64(vendor.ebx), 0x6874_7541, "#VC: CPUID 0 says \"Auth\"enticAMD")
    let encryption = cpuid(0x8000_001f, 0)
    Check.equal(UInt64(encryption.ebx & 0x3f), boot.cBitPosition, "CPUID 8000_001F has the C-bit's position")
    Check.that(input_byte(0x3fd) & 0x20 != 0, "#VC: IN says that the serial line takes a byte")
    Check.equal(UInt64(rmpadjust(scratch_page(), 0, 1)), 0, "RMPADJUST of VMPL1 works, so this is VMPL0")
}

/// A private page becomes shared, and private again.
func convertOnePage() {
    let page = Pages.allocate()
    store64(page, 0x1234_5678)
    Check.that(PageStates.share(page, 1, .size4K), "a private page becomes shared")
    store64(page, 0x9abc_def0)
    Check.equal(load64(page), 0x9abc_def0, "the shared page holds what is written")
    Check.that(PageStates.unshare(page, 1, .size4K), "it becomes private again, validated")
    store64(page, 0x5555_aaaa)
    Check.equal(load64(page), 0x5555_aaaa, "the private page holds what is written")
}

/// Asks firmware for a report, checks what the guest can check, and gives it to the host.
func attest() -> Bool {
    let data = scratch_page()
    for index in 0..<64 as Range<UInt64> { store8(data + index, UInt8(index)) }
    var channel = FirmwareChannel(keyIndex: 0)
    let found = channel.report(data: data, vmpl: 0)
    Check.that(found != nil, "firmware answers a request for a report")
    guard let report = found else { return false }
    let version = load32(report + Report.version)
    Check.that(version >= 2 && version <= 5, "the report's version is 2 to 5")
    Check.equal(UInt64(load32(report + Report.vmpl)), 0, "the report is for VMPL")
    var echo = true
    for index in 0..<64 as Range<UInt64> where load8(report + Report.data + index) != UInt8(index) { echo = false }
    Check.that(echo, "the report has the guest's data")
    Check.that(channel.report(data: data, vmpl: 0) != nil, "a second message follows the first")
    Console.write("  launch digest ", bytes: report + Report.measurement, count: 48)
    Console.writeLine()
    output(Port.result, report, count: UInt64(Report.byteCount))
    return true
}
