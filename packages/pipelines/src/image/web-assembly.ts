/** The part of WebAssembly that is used here; TypeScript knows it in browsers only. */
export interface WasmMemory {
  /** Made anew when the memory grows; the one before has no bytes then. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface Api {
  readonly Memory: new (pages: { initial: number; maximum: number }) => WasmMemory;
  instantiate(
    binary: Uint8Array,
    imports: { readonly env: { readonly memory: WasmMemory } },
  ): Promise<{ readonly instance: { readonly exports: Readonly<Record<string, unknown>> } }>;
}

declare const WebAssembly: Api;

export const webAssembly = WebAssembly;
