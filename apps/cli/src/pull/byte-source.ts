/** Where the bytes of one file come from, for a download that goes on where the last one broke off. */
import type { Result } from '@inferry/runtime';

export interface ByteSource {
  /** What may be printed. */
  readonly shown: string;
  /** The same for the same file in every process. */
  readonly id: string;
  /** From a byte on, as long as the file is the one that the validator stands for; null: whatever it is. */
  open(from: number, validator: string | null): Promise<Result<OpenedBytes, NotOpened>>;
  /** How a try ends in which reading rejected so; undefined where that is no matter of the way to the source. */
  problemOf(cause: unknown): NotOpened | undefined;
}

/** The file, or its rest. */
export interface OpenedBytes {
  /** Where it begins: at the byte that was asked for, or at 0. */
  readonly from: number;
  /** Of the whole file; null where it is not told. */
  readonly totalBytes: number | null;
  /** What stands for this content when its rest is asked for; null: the rest cannot be asked for safely. */
  readonly validator: string | null;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Nothing more of it is wanted. */
  close(): void;
}

/** `changed`: what is there already is of another file. `again`: it may go on later. `refused`: it will not. */
export interface NotOpened {
  readonly end: 'changed' | 'again' | 'refused';
  readonly why: string;
}
