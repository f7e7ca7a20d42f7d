/** What files of scheduled backups are called: sorted by name they are sorted by age. */

/** Of a file that is being written. */
export const unfinishedSuffix = '.part';

export const backupFileName = (at: Date): string => `forge-${at.toISOString().replaceAll(/[-:]|\.\d+/g, '')}.tar.zst`;

/** Of a complete one. */
export const isBackupFile = (name: string): boolean => /^forge-\d{8}T\d{6}Z\.tar\.zst$/.test(name);
