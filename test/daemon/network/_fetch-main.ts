// Fetches the URL of its command line in a process whose environment is the parent's to choose, and sends what it got.
import { Fetcher } from './_fetching.ts';

const fetcher = new Fetcher();
const opened = await fetcher.open(process.argv[2] ?? '');
process.send?.(await fetcher.text(opened), () => process.disconnect?.());
