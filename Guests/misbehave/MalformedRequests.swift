// Malformed requests of the GHCB protocol, and requests that do not exist.

import Hardware

func breakGHCB() {
    Case.survived("unknown-event") {
        refuses(Answer.invalidEvent, "an exit code without meaning") { $0.call(0x8000_7777) }
    }
    Case.survived("no-exit-code") {
        refuses(Answer.missingInput, "a request without an exit code") { ghcb in
            ghcb.set(.exitInfo1, 0)
            ghcb.set(.exitInfo2, 0)
            return ghcb.send()
        }
    }
    Case.survived("missing-register") {
        refuses(Answer.missingInput, "CPUID without RCX") { ghcb in
            ghcb.set(.rax, 0)
            return ghcb.call(ExitCode.cpuid)
        }
    }
    Case.survived("wrong-usage") {
        refuses(Answer.invalidUsage, "a page of another use") { ghcb in
            store32(ghcb.address + 0xffc, 7)
            return ghcb.call(ExitCode.features)
        }
    }
    Case.survived("string-outside-buffer") {
        refuses(Answer.invalidScratch, "a string that leaves the shared buffer") { ghcb in
            ghcb.set(.scratch, ghcb.buffer + 8)
            return ghcb.call(
                ExitCode.ioio, Port.console << 16 | 1 << 9 | 1 << 4 | 1 << 3 | 1 << 2, GHCB.sharedBufferSize)
        }
    }
    Case.survived("msr-without-meaning") {
        var value: UInt64 = 0
        let generalProtection: UInt64 = 1 << 31 | 13 << 16
        Check.equal(UInt64(probe_read_msr(0x1234_5678, &value)), generalProtection, "RDMSR of no register is #GP")
        Check.equal(UInt64(probe_write_msr(0x1234_5678, 1)), generalProtection, "WRMSR of no register is #GP")
    }
    Case.survived("unknown-msr-request") {
        Check.equal(MSRProtocol.ask(0x7770a), 0x7770a, "an unknown MSR request comes back as it was")
    }
    Case.survived("request-unaligned") {
        refuses(Answer.invalidInput, "a guest request that is not page aligned") { ghcb in
            ghcb.call(ExitCode.guestRequest, scratch_page() + 8, scratch_page() + 4096)
        }
    }
    Case.survived("request-one-page") {
        refuses(Answer.invalidInput, "a guest request with one page for both") { ghcb in
            ghcb.call(ExitCode.guestRequest, scratch_page(), scratch_page())
        }
    }
}

func breakProcessorCreation() {
    let features = sev_status() >> 2
    Case.survived("create-unknown-processor") {
        refuses(Answer.invalidInput, "an APIC identifier that no processor has") { ghcb in
            ghcb.set(.rax, features)
            return ghcb.call(ExitCode.createProcessor, 0xffff << 32 | 1, scratch_page())
        }
    }
    Case.survived("create-unaligned") {
        refuses(Answer.invalidInput, "a VMSA that is not page aligned") { ghcb in
            ghcb.set(.rax, features)
            return ghcb.call(ExitCode.createProcessor, 1, scratch_page() + 16)
        }
    }
    Case.survived("create-large-aligned") {
        refuses(Answer.invalidInput, "a VMSA at the start of 2 MiB") { ghcb in
            ghcb.set(.rax, features)
            return ghcb.call(ExitCode.createProcessor, 1, nextLargePage())
        }
    }
    Case.survived("create-other-features") {
        refuses(Answer.invalidInput, "SEV_FEATURES that are not the machine's") { ghcb in
            ghcb.set(.rax, features ^ 0x20)
            return ghcb.call(ExitCode.createProcessor, 1, scratch_page())
        }
    }
    Case.survived("create-unknown-request") {
        refuses(Answer.invalidInput, "a request that is neither create nor destroy") { ghcb in
            ghcb.set(.rax, features)
            return ghcb.call(ExitCode.createProcessor, 9, scratch_page())
        }
    }
    Case.survived("create-without-features") {
        refuses(Answer.missingInput, "a request without SEV_FEATURES") { ghcb in
            ghcb.call(ExitCode.createProcessor, 1, scratch_page())
        }
    }
}
