mod downloader;
