/** What files were checked with, as a person is told. */

/** `size`: nothing that the bytes could be compared with is known. */
export type CheckedBy = 'sha256' | 'sha1' | 'crc64nvme' | 'crc32c' | 'crc32' | 'md5' | 'size';

/** Paths of files by what they were checked with. */
export type Checked = ReadonlyMap<CheckedBy, readonly string[]>;

const names: Readonly<Record<CheckedBy, string>> = {
  sha256: 'SHA-256',
  sha1: 'SHA-1',
  crc64nvme: 'CRC-64/NVME',
  crc32c: 'CRC-32C',
  crc32: 'CRC-32',
  md5: 'MD5 (ETag)',
  size: 'size alone',
};
const pathsShownMax = 5;

/** One line, or nothing where nothing is known. */
export function checkedText(checked: Checked): string {
  if (checked.size === 0) return '';
  const parts = [...checked].map(
    ([by, { length }]) => `${length} ${length === 1 ? 'file' : 'files'} by ${names[by]}`,
  );
  return `checked ${parts.join(', ')}\n`;
}

/** Null where every file was compared with something. */
export function uncheckedText(checked: Checked): string | null {
  const paths = checked.get('size') ?? [];
  if (paths.length === 0) return null;
  const more = paths.length - pathsShownMax;
  const shown = `${paths.slice(0, pathsShownMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return `${shown}: checked by the size alone, as S3 tells no checksum of the whole of it`;
}
