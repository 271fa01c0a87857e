CREATE TYPE activity.tier AS ENUM ('free', 'premium', 'enterprise');
COMMENT ON TYPE activity.tier IS
	'what an organization pays for: free < premium < enterprise; decides which features it may use';
