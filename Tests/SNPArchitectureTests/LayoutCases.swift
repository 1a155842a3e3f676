// Layouts of the buffers for paging, debugging, guest messages, activation in part and loaded keys.

import SNPArchitecture

extension FirmwareLayoutTests {
    static let laterCases: [LayoutCase] = [
        LayoutCase(
            name: "SNP_ACTIVATE_EX", type: ActivateExBuffer.self, byteCount: 0x20,
            offsets: ["LENGTH": 0, "GCTX_PADDR": 8, "ASID": 0x10, "NUMIDS": 0x14, "IDS_PADDR": 0x18]),
        LayoutCase(
            name: "SNP_GUEST_REQUEST", type: GuestRequestBuffer.self, byteCount: 0x18,
            offsets: ["GCTX_PADDR": 0, "REQUEST_PADDR": 8, "RESPONSE_PADDR": 0x10]),
        LayoutCase(
            name: "SNP_DBG_DECRYPT", type: DebugDecryptBuffer.self, byteCount: 0x18,
            offsets: ["GCTX_PADDR": 0, "SRC_PADDR": 8, "DST_PADDR": 0x10]),
        LayoutCase(
            name: "SNP_DBG_ENCRYPT", type: DebugEncryptBuffer.self, byteCount: 0x18,
            offsets: ["GCTX_PADDR": 0, "SRC_PADDR": 8, "DST_PADDR": 0x10]),
        LayoutCase(
            name: "SNP_PAGE_SWAP_OUT", type: PageSwapOutBuffer.self, byteCount: 0x30,
            offsets: [
                "GCTX_PADDR": 0, "SRC_PADDR": 8, "DST_PADDR": 0x10, "MDATA_PADDR": 0x18, "SOFTWARE_DATA": 0x20,
                "FLAGS": 0x28,
            ]),
        LayoutCase(
            name: "SNP_PAGE_SWAP_IN", type: PageSwapInBuffer.self, byteCount: 0x30,
            offsets: ["GCTX_PADDR": 0, "SRC_PADDR": 8, "DST_PADDR": 0x10, "MDATA_PADDR": 0x18, "FLAGS": 0x28]),
        LayoutCase(
            name: "SNP_PAGE_MOVE", type: PageMoveBuffer.self, byteCount: 0x20,
            offsets: ["GCTX_PADDR": 0, "FLAGS": 8, "SRC_PADDR": 0x10, "DST_PADDR": 0x18]),
        LayoutCase(
            name: "SNP_PAGE_MD_INIT", type: PageMDInitBuffer.self, byteCount: 0x10,
            offsets: ["GCTX_PADDR": 0, "PAGE_PADDR": 8]),
        LayoutCase(
            name: "SNP_PAGE_SET_STATE", type: PageSetStateBuffer.self, byteCount: 0x10,
            offsets: ["LENGTH": 0, "LIST_PADDR": 8]),
        LayoutCase(
            name: "SNP_VLEK_LOAD", type: VLEKLoadBuffer.self, byteCount: 0x10,
            offsets: ["LENGTH": 0, "VLEK_WRAPPED_VERSION": 4, "VLEK_WRAPPED_PADDR": 8]),
        LayoutCase(
            name: "guest message header", type: GuestMessageHeader.self, byteCount: 0x60,
            offsets: [
                "AUTHTAG": 0, "MSG_SEQNO": 0x20, "ALGO": 0x30, "HDR_VERSION": 0x31, "HDR_SIZE": 0x32, "MSG_TYPE": 0x34,
                "MSG_VERSION": 0x35, "MSG_SIZE": 0x36, "MSG_VMPCK": 0x3c,
            ]),
    ]

    static let laterBuffers: [any CommandBuffer.Type] = [
        ActivateExBuffer.self, GuestRequestBuffer.self, DebugDecryptBuffer.self, DebugEncryptBuffer.self,
        PageSwapOutBuffer.self, PageSwapInBuffer.self, PageMoveBuffer.self, PageMDInitBuffer.self,
        PageSetStateBuffer.self, VLEKLoadBuffer.self,
    ]
}
