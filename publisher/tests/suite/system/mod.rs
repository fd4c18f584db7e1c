//! What only the kernel can show: block devices, disks that are full, power that goes.

mod block_device;
mod full_disk;
mod power_cut;
